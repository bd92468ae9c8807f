package pipeline

import (
	"encoding/json"

	"eyrie/artifacts"
)

// Header says what a run was started with, and where: the first line of its journal has
// it. What is sensitive is not in it.
type Header struct {
	Command   []string   `json:"command,omitempty"`   // the command line
	Variables []Variable `json:"variables,omitempty"` // of the recipe; Execute fills them in
	Targets   []string   `json:"targets,omitempty"`   // the steps that were asked for; none for all
	Reads     []Source   `json:"reads,omitempty"`     // the files that functions of the recipe read, such as file("a.csv")
	Store     string     `json:"store,omitempty"`     // its directory, as the user calls it
	Runner    string     `json:"runner,omitempty"`    // the version of this program
	Go        string     `json:"go,omitempty"`        // that it was built with
	Platform  string     `json:"platform,omitempty"`  // "linux/amd64"
	Host      string     `json:"host,omitempty"`
	CPUs      int        `json:"cpus,omitempty"`
	Backed    *bool      `json:"backed,omitempty"` // whether anything is behind the store; nil in journals that do not tell what was moved
	Git       *Git       `json:"git,omitempty"`    // of the recipe's directory, where that is in a repository
}

// Git is where a repository stood.
type Git struct {
	Commit   string `json:"commit"`
	Modified bool   `json:"modified,omitempty"` // git status has something to say
}

// Variable is a variable of a recipe with its value.
type Variable struct {
	Name      string            `json:"name"`
	Value     json.RawMessage   `json:"value,omitempty"`     // canonical JSON; nil where it is sensitive, or too long for a journal
	Digest    *artifacts.Digest `json:"digest,omitempty"`    // of a value that is too long
	Given     bool              `json:"given,omitempty"`     // from outside: it is not the default
	Sensitive bool              `json:"sensitive,omitempty"` // its value must not be shown

	secret json.RawMessage
}

// NewVariable returns a variable with its value, a tree as [Attr] has it. A sensitive value
// can be compared by [Variable.Seal], and not be read.
func NewVariable(name string, value any, given, sensitive bool) Variable {
	v := Variable{Name: name, Given: given, Sensitive: sensitive}
	b := plainJSON(value)
	if sensitive {
		v.secret = b
	} else {
		v.Value = b
	}
	return v
}

// Seal returns a digest of the value and a salt: whoever does not know the value learns
// from it only whether it is the same, and has to guess it for each salt anew.
func (v Variable) Seal(salt []byte) artifacts.Digest {
	value := v.Value
	if v.Sensitive {
		value = v.secret
	}
	return artifacts.Sum(append(append([]byte{}, salt...), value...))
}

// Text is a file of a recipe. Where the default of a sensitive variable is written there,
// the text has (sensitive) in its place.
type Text struct {
	Name   string           `json:"name"` // as diagnostics call it
	Digest artifacts.Digest `json:"digest"`
	Text   string           `json:"text,omitempty"` // "" where it is too long for a journal
}

// Left reports whether the text was left out, as it is too long for a journal.
func (t Text) Left() bool { return t.Text == "" && t.Digest != artifacts.Sum(nil) }

// What a journal keeps of values and texts, in bytes. Longer ones are there as digests.
const (
	mostValue = 4 << 10
	mostTexts = 256 << 10 // all of a recipe's
)

// header returns the header as the journal has it.
func (x *execution) header() *Header {
	var h Header
	if x.opt.Header != nil {
		h = *x.opt.Header
		backed := x.store.Backed()
		h.Backed = &backed
	}
	h.Variables = nil
	for _, v := range x.plan.Recipe.Variables {
		if len(v.Value) > mostValue {
			d := artifacts.Sum(v.Value)
			v.Value, v.Digest = nil, &d
		}
		h.Variables = append(h.Variables, v)
	}
	if x.opt.Header == nil && len(h.Variables) == 0 {
		return nil
	}
	return &h
}

// texts returns the recipe's files as the journal has them: with their text as long as
// there is room.
func (r *Recipe) texts() []Text {
	all, room := make([]Text, len(r.Files)), mostTexts
	for i, t := range r.Files {
		if room -= len(t.Text); room < 0 {
			t.Text = ""
		}
		all[i] = t
	}
	return all
}
