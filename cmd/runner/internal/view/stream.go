package view

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"time"

	"github.com/rs/zerolog"

	"eyrie/pipeline"
)

// Stream writes a run's events as JSON, an object a line.
type Stream struct {
	w   io.Writer
	log zerolog.Logger
}

// NewStream returns a view that writes JSON lines to w.
func NewStream(w io.Writer) *Stream {
	w = zerolog.SyncWriter(w)
	return &Stream{w, zerolog.New(w)}
}

// Event writes the event.
func (v *Stream) Event(e pipeline.Event) { v.log.Log().EmbedObject(e).Send() }

// Notice writes the text as the message of an event "notice".
func (v *Stream) Notice(text string) {
	_ = WriteLine(v.w, "notice", struct {
		Message string `json:"message"`
	}{text})
}

// Close does nothing: every line has been written.
func (v *Stream) Close() {}

// WriteLine writes the fields of an object as a line of JSON that begins as
// those of events do: with v, the format's version, time and event.
func WriteLine(w io.Writer, event string, object any) error {
	var fields bytes.Buffer
	e := json.NewEncoder(&fields)
	e.SetEscapeHTML(false)
	if err := e.Encode(object); err != nil {
		return err
	}
	line := fmt.Appendf(nil, `{"v":%d,"time":%q,"event":%q`, pipeline.EventVersion, time.Now().UTC().Format(time.RFC3339Nano), event)
	if rest := fields.Bytes()[1:]; rest[0] == '}' {
		line = append(line, rest...)
	} else {
		line = append(append(line, ','), rest...)
	}
	_, err := w.Write(line)
	return err
}
