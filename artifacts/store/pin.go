package store

import (
	"encoding/json"
	"fmt"
	"os"
	"slices"
	"strings"
	"time"

	"eyrie/artifacts/disk"
	"eyrie/artifacts/seal"
)

// Pin says that a run's results stay, whatever else needs them.
type Pin struct {
	Run  string    `json:"run"`
	Name string    `json:"name,omitempty"` // what it is called
	Time time.Time `json:"time"`
}

func (s *Store) pinPath(run string) string { return s.dir.Path("pins", run) }

// Pin keeps a run's results. It replaces the run's pin, if there is one.
func (s *Store) Pin(p Pin) error {
	if !isRun(p.Run) {
		return fmt.Errorf("run %q cannot be a file's name", p.Run)
	}
	body, err := json.Marshal(p)
	if err != nil {
		return err
	}
	return s.dir.Replace(s.pinPath(p.Run), seal.Wrap("pin 1", body), true)
}

// Unpin takes back what Pin did. The error is ErrNotFound where there is no such pin.
func (s *Store) Unpin(run string) error {
	if !isRun(run) {
		return ErrNotFound
	}
	if _, err := os.Lstat(s.pinPath(run)); err != nil {
		return missing(err)
	}
	return s.dir.Remove(s.pinPath(run))
}

// Pins returns the pins, by run.
func (s *Store) Pins() ([]Pin, error) {
	entries, err := s.entries("pins")
	if err != nil {
		return nil, err
	}
	pins := make([]Pin, len(entries))
	for i, e := range entries {
		pins[i] = s.readPin(e.Name())
	}
	slices.SortFunc(pins, func(a, b Pin) int { return strings.Compare(a.Run, b.Run) })
	return pins, nil
}

// readPin reads a pin. One that is damaged still pins the run that its file is named after.
func (s *Store) readPin(run string) Pin {
	var p Pin
	b, err := disk.ReadFile(s.pinPath(run))
	if err == nil {
		b, err = seal.Open("pin 1", b)
	}
	if err != nil || json.Unmarshal(b, &p) != nil || p.Run != run {
		return Pin{Run: run}
	}
	return p
}

// Pinned returns which runs are pinned.
func (s *Store) Pinned() (map[string]bool, error) {
	pins, err := s.Pins()
	pinned := make(map[string]bool, len(pins))
	for _, p := range pins {
		pinned[p.Run] = true
	}
	return pinned, err
}
