package relay

import (
	"context"
	"encoding/json"
	"errors"
	"os"
	"time"

	"eyrie/artifacts"
	"eyrie/artifacts/store"
	"eyrie/pipeline"
	"eyrie/pipeline/apart"
)

// between is how long after a checkpoint was sent the next one is, at least.
const between = 5 * time.Minute

// layCheckpoint lays out the last checkpoint that there is, of an attempt on another node. One
// that is not to be had is none.
func (s *session) layCheckpoint(ctx context.Context, job *pipeline.Job) error {
	from := s.errand.Checkpoint
	if text, err := s.box.get(ctx, checkpointFile(s.element)); err == nil {
		from = &artifacts.File{}
		if err := json.Unmarshal(text, from); err != nil {
			return err
		}
	}
	if from == nil {
		return nil
	}
	kept, err := s.store.Fetch(ctx, *from)
	if errors.Is(err, store.ErrNotFound) || errors.Is(err, store.ErrDamaged) {
		return nil
	} else if err != nil {
		return err
	}
	dir, err := s.store.Checkpoint(job.Action)
	if err != nil {
		return err
	}
	if err := os.CopyFS(dir, os.DirFS(kept.Path)); err != nil { // the store's own files are not to be written to
		return err
	}
	s.kept = s.store.CheckpointTime(job.Action)
	return nil
}

// sendCheckpoint takes the action's checkpoint to the cache, if it is a new one.
func (s *session) sendCheckpoint(ctx context.Context) error {
	job := s.errand.Job
	if job == nil || !s.store.HasCheckpoint(job.Action) || s.store.CheckpointTime(job.Action).Equal(s.kept) {
		return nil
	}
	at := s.store.CheckpointTime(job.Action)
	dir := s.store.CheckpointDir(job.Action)
	f, err := s.store.Import(ctx, dir)
	if err != nil {
		return err
	}
	if err := s.node.Cache.Push(ctx, s.store, job.Action, []artifacts.File{f}); err != nil {
		return err
	}
	text, err := json.Marshal(f)
	if err != nil {
		return err
	}
	if err := s.box.put(ctx, checkpointFile(s.element), text); err != nil {
		return err
	}
	s.kept = at
	s.say(apart.Message{Checkpoint: &f})
	return nil
}
