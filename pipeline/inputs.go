package pipeline

import (
	"context"
	"encoding/json"
	"fmt"
	"path/filepath"
	"strconv"
	"strings"

	"eyrie/artifacts"
	"eyrie/artifacts/store"
)

// inputs are the local files of a job as a stage reads them: their content when the
// attempt began, which is that of the key, even if the files are written to meanwhile. A
// check afterwards would not do: a file can change and change back.
type inputs struct {
	paths  map[artifacts.Digest]string // where to read what: links by the files' own names, as stages quote these
	inText *strings.Replacer           // the paths of links by those that the recipe names
	inLog  *strings.Replacer           // the same in JSON
}

// snapshot takes the job's local files into the store, and makes links to them in the
// attempt's own directory.
func (p *performer) snapshot(ctx context.Context) (*inputs, error) {
	in := &inputs{paths: map[artifacts.Digest]string{}}
	var text, log []string
	for i, input := range p.job.Inputs {
		if input.Path == "" {
			continue
		}
		now, err := p.store.Snapshot(ctx, input.Path)
		if err != nil {
			return nil, err
		}
		if now.Digest != input.File.Digest {
			return nil, fmt.Errorf("%s has changed since it was looked at; run again", input.Path)
		}
		link, err := p.link(now.Path, inputsName, strconv.Itoa(i), filepath.Base(input.Path))
		if err != nil {
			return nil, err
		}
		in.paths[now.Digest] = link
		text = append(text, link, input.Path)
		log = append(log, inJSON(link), inJSON(input.Path))
	}
	in.inText, in.inLog = strings.NewReplacer(text...), strings.NewReplacer(log...)
	return in, nil
}

// inJSON returns the text as it is within a JSON string.
func inJSON(text string) string {
	b, _ := json.Marshal(text) // no string fails
	return string(b[1 : len(b)-1])
}

// into returns the configuration with every file readable on this machine. Of
// files with equal content any will do: a stage depends on content, not on names.
func (in *inputs) into(ctx context.Context, s *store.Store, config any) (any, error) {
	v := settable(config)
	err := eachFile(v, func(f *artifacts.File) (err error) {
		if f.Digest.IsZero() {
			return nil
		}
		if path, ok := in.paths[f.Digest]; ok {
			f.Path = path
			return nil
		}
		*f, err = s.Fetch(ctx, *f)
		return err
	})
	return v.Interface(), err
}

// named returns the error with the files' names as the recipe has them.
func (in *inputs) named(err error) error {
	if in.inText.Replace(err.Error()) == err.Error() {
		return err
	}
	f := NewFailure(err)
	f.Message, f.Stack = in.inText.Replace(f.Message), in.inText.Replace(f.Stack)
	if f.Path != "" || f.Crash {
		return f.Err()
	}
	return renamed{f.Message, err}
}

// renamed is an error whose text has other names.
type renamed struct {
	text string
	err  error
}

func (e renamed) Error() string { return e.text }
func (e renamed) Unwrap() error { return e.err }
