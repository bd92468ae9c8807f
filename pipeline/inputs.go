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

	referred []store.Sighting // trees that are read where they are, as they were when the attempt began
}

// snapshot takes the job's local files into the store, and makes links to them in the
// attempt's own directory. What is referred to is not copied: the links lead to where it is.
func (p *performer) snapshot(ctx context.Context, referred map[artifacts.Digest]bool) (*inputs, error) {
	in := &inputs{paths: map[artifacts.Digest]string{}}
	var text, log []string
	for i, input := range p.job.Inputs {
		if input.Path == "" {
			continue
		}
		now, err := p.take(ctx, in, input, referred[input.File.Digest])
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

// take makes a local file readable for the attempt.
func (p *performer) take(ctx context.Context, in *inputs, input Input, refer bool) (artifacts.File, error) {
	if !refer {
		return p.store.Snapshot(ctx, input.Path)
	}
	seen, err := p.made.Refer(ctx, input.Path)
	in.referred = append(in.referred, seen)
	return seen.File, err
}

// seen names the state of the trees that are read where they are, "" for none. A checkpoint is
// of one state: an attempt before may have been killed while a file there was another one.
func (in *inputs) seen() string {
	if len(in.referred) == 0 {
		return ""
	}
	var text strings.Builder
	for _, s := range in.referred {
		fmt.Fprintf(&text, "%s %v\n", s.Digest, s.Changed().UnixNano())
	}
	return "seen-" + artifacts.Sum([]byte(text.String())).String()[:16]
}

// unchanged reports a tree that was written to while the stage read it where it is.
func (in *inputs) unchanged(ctx context.Context, s *store.Store) error {
	for _, before := range in.referred {
		now, err := s.Sight(ctx, before.Path)
		if err != nil {
			return err
		}
		if now != before {
			return fmt.Errorf("%s was written to while it was read, so that the result may be of neither content: run again when nothing writes there", before.Path)
		}
	}
	return nil
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
	err := eachFileOf(v, false, func(f *artifacts.File, checked bool) (err error) {
		if f.Digest.IsZero() {
			return nil
		}
		if path, ok := in.paths[f.Digest]; ok {
			f.Path = path
			return nil
		}
		if checked {
			*f, err = s.Locate(ctx, *f)
		} else {
			*f, err = s.Fetch(ctx, *f)
		}
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
