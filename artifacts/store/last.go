package store

import (
	"encoding/json"
	"strings"

	"eyrie/artifacts"
	"eyrie/artifacts/disk"
	"eyrie/artifacts/seal"
)

// last is what a step did last. It is this machine's, where a plan says what
// changed since.
type last struct {
	Name   string             `json:"name"`
	Action artifacts.ActionID `json:"action"`
}

// printable is a name as JSON can hold it; the file is found by the name itself.
func printable(name string) string { return strings.ToValidUTF8(name, "\uFFFD") }

func (s *Store) lastPath(name string) string {
	return s.shard("last", artifacts.Sum([]byte(name)).String())
}

// SetLast remembers that name (a step of a recipe) was last done as id. Name may
// hold any characters. It is fast if nothing changes.
func (s *Store) SetLast(name string, id artifacts.ActionID) error {
	if was, err := s.Last(name); err == nil && was == id {
		return nil
	}
	body, err := json.Marshal(last{printable(name), id})
	if err != nil {
		return err
	}
	return s.dir.Replace(s.lastPath(name), seal.Wrap("last 1", body), false)
}

// Last returns what SetLast remembered, or ErrNotFound.
func (s *Store) Last(name string) (artifacts.ActionID, error) {
	b, err := disk.ReadFile(s.lastPath(name))
	if err != nil {
		return artifacts.ActionID{}, missing(err)
	}
	body, err := seal.Open("last 1", b)
	if err != nil {
		return artifacts.ActionID{}, ErrNotFound
	}
	var l last
	if json.Unmarshal(body, &l) != nil || l.Name != printable(name) {
		return artifacts.ActionID{}, ErrNotFound
	}
	return l.Action, nil
}
