package raptor

import (
	_ "embed"
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
)

// presetsJSON holds, per preset, its values and the source of each.
//
//go:embed presets.json
var presetsJSON []byte

// preset is an entry of presets.json.
type preset struct {
	Doc    string                     `json:"doc"`
	Base   string                     `json:"base"` // the preset that it varies
	Values map[string]json.RawMessage `json:"values"`
	Source map[string]string          `json:"source"` // per value, for readers of the file: where it was found, or "assumed"
}

var presets = sync.OnceValue(func() map[string]preset {
	var m map[string]preset
	if err := json.Unmarshal(presetsJSON, &m); err != nil {
		panic("raptor: presets.json: " + err.Error())
	}
	return m
})

// Presets returns the names of the presets, sorted.
func Presets() []string { return slices.Sorted(maps.Keys(presets())) }

// Preset returns the preset of this name. The error lists those that exist.
func Preset(name string) (Platform, error) {
	e, ok := presets()[name]
	if !ok {
		return Platform{}, fmt.Errorf("preset %q: there is no such platform; there are %s", name, strings.Join(Presets(), ", "))
	}
	var p Platform
	if e.Base != "" {
		var err error
		if p, err = Preset(e.Base); err != nil {
			return Platform{}, err
		}
	}
	b, err := json.Marshal(e.Values)
	if err == nil {
		err = json.Unmarshal(b, &p)
	}
	if err != nil {
		return Platform{}, fmt.Errorf("preset %q: %w", name, err)
	}
	p.Name = name
	return p, nil
}
