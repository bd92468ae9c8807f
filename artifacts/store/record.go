package store

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"

	"eyrie/artifacts"
)

// encodeRecord returns r as it is kept: sealed, and indented for a reader.
func encodeRecord(r Record) ([]byte, error) {
	var line, body bytes.Buffer
	e := json.NewEncoder(&line)
	e.SetEscapeHTML(false) // the preimage must stay as it is
	if err := e.Encode(r); err != nil {
		return nil, fmt.Errorf("record of %s: %w", r.Step, err)
	}
	if err := json.Indent(&body, bytes.TrimSpace(line.Bytes()), "", " "); err != nil {
		return nil, err
	}
	b := seal("record 1", body.Bytes())
	if _, err := decodeRecord(b, r.Action); err != nil {
		return nil, fmt.Errorf("record of %s: the preimage is not the action's, or not compact JSON", r.Step)
	}
	return b, nil
}

// decodeRecord reads what encodeRecord wrote for the action id.
func decodeRecord(b []byte, id artifacts.ActionID) (Record, error) {
	body, err := unseal("record 1", b)
	if err != nil {
		return Record{}, err
	}
	var line bytes.Buffer
	if err := json.Compact(&line, body); err != nil {
		return Record{}, err
	}
	var r Record
	if err := json.Unmarshal(line.Bytes(), &r); err != nil {
		return Record{}, err
	}
	if r.Action != id || artifacts.NewActionID(r.Preimage) != id {
		return Record{}, errors.New("the record of another action")
	}
	return r, nil
}
