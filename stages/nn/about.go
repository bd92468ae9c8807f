package nn

import (
	"encoding/json"

	"eyrie/artifacts"
	"eyrie/stages/arch"
)

// About is what is certain of a supernet's weights before they are trained.
type About struct {
	Space   arch.Space `json:"space"`
	HeldOut int        `json:"held_out"` // see [Supernet.HeldOut]
}

// Promise returns a handle to weights that are not there yet, for checks alone.
func (a About) Promise() artifacts.File {
	b, err := json.Marshal(a)
	if err != nil {
		panic("nn: " + err.Error())
	}
	return artifacts.File{Foreseen: string(b)}
}

// Foreseen returns what a handle promises of the weights behind it, if it does.
func Foreseen(f *artifacts.File) (a About, ok bool) {
	if f == nil || f.Foreseen == "" || json.Unmarshal([]byte(f.Foreseen), &a) != nil || a.Space.Validate() != nil {
		return About{}, false
	}
	return a, true
}
