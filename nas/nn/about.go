package nn

import (
	"encoding/json"
	"fmt"

	"eyrie/artifacts"
	"eyrie/nas/arch"
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

// HoldoutOf returns what is wrong with a holdout for weights that are foreseen, or nil.
func HoldoutOf(weights *artifacts.File, holdout int) error {
	if a, ok := Foreseen(weights); ok && holdout > a.HeldOut {
		return fmt.Errorf("the supernet will be trained on all but %d images, not all but %d: write the holdout of train-supernet", a.HeldOut, holdout)
	}
	return nil
}

// Foreseen returns what a handle promises of the weights behind it, if it does.
func Foreseen(f *artifacts.File) (a About, ok bool) {
	if f == nil || f.Foreseen == "" || json.Unmarshal([]byte(f.Foreseen), &a) != nil || a.Space.Validate() != nil {
		return About{}, false
	}
	return a, true
}
