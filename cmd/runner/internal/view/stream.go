package view

import (
	"io"

	"github.com/rs/zerolog"

	"eyrie/pipeline"
)

// Stream writes a run's events as JSON, an object a line.
type Stream struct{ log zerolog.Logger }

// NewStream returns a view that writes JSON lines to w.
func NewStream(w io.Writer) *Stream {
	return &Stream{zerolog.New(zerolog.SyncWriter(w))}
}

// Event writes the event.
func (v *Stream) Event(e pipeline.Event) { v.log.Log().EmbedObject(e).Send() }

// Notice writes the text as {"v": 1, "event": "notice", "message": text}.
func (v *Stream) Notice(text string) {
	v.log.Log().Int("v", pipeline.EventVersion).Str("event", "notice").Str("message", text).Send()
}

// Close does nothing: every line has been written.
func (v *Stream) Close() {}
