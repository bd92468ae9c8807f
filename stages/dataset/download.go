package dataset

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"time"

	"eyrie/pipeline"
	"eyrie/pipeline/mistake"
)

// Limits of a download.
const (
	maxDownload = 4 << 30          // bytes of one file
	stall       = 30 * time.Second // without a byte, before an attempt is given up
	attempts    = 4
)

// pause before the second attempt; it doubles from attempt to attempt. Tests
// shorten it.
var pause = time.Second

// checkDownload reports an address and digests that are missing or malformed.
func checkDownload(r *mistake.Report, address string, sums map[string]string) {
	u, err := url.Parse(address)
	if r.Knows("url") && (err != nil || u.Scheme != "http" && u.Scheme != "https" || u.Host == "") {
		r.At("url").Badf("%q is not an address: write it as https://host/folder/", address)
	}
	if !r.Knows("sha256") {
		return
	}
	if len(sums) == 0 {
		r.At("sha256").Badf(`a download needs the digest of each file: sha256 = { "train-images-idx3-ubyte.gz" = "…", … }`)
	}
	for _, name := range slices.Sorted(maps.Keys(sums)) {
		if name != filepath.Base(name) || strings.HasPrefix(name, ".") {
			r.At("sha256").Badf("%q is not the plain name of a file", name)
		} else if b, err := hex.DecodeString(sums[name]); err != nil || len(b) != sha256.Size {
			r.At("sha256", name).Badf("%q is not a SHA-256: want 64 hexadecimal digits", sums[name])
		}
	}
}

// download gets the files that sums names and returns the directory in which
// they lie. Files that are complete survive an interruption.
func download(ctx context.Context, task *pipeline.Task, address string, sums map[string]string) (dir string, err error) {
	dir = task.Path("download")
	if keep := task.Checkpoint(); keep != "" {
		dir = filepath.Join(keep, "download")
	}
	if err := os.MkdirAll(dir, 0o777); err != nil {
		return "", err
	}
	for _, name := range slices.Sorted(maps.Keys(sums)) {
		from, err := url.JoinPath(address, name)
		if err != nil {
			return "", pipeline.Badf("url", "%w", err)
		}
		if err := fetch(ctx, task, from, filepath.Join(dir, name), strings.ToLower(sums[name])); err != nil {
			return "", fmt.Errorf("download %s: %w", from, err)
		}
	}
	return dir, nil
}

// permanent is an error that another attempt would meet again.
type permanent struct{ error }

func (p permanent) Unwrap() error { return p.error }

// fetch downloads a file unless it is there already, with several attempts.
func fetch(ctx context.Context, task *pipeline.Task, from, to, sum string) error {
	if have, err := hashFile(to); err == nil && have == sum {
		return nil
	}
	wait := pause
	for attempt := 1; ; attempt++ {
		err := try(ctx, task, from, to, sum)
		var p permanent
		if err == nil || errors.As(err, &p) || ctx.Err() != nil || attempt == attempts {
			return err
		}
		task.Log().Warn().Err(err).Str("url", from).Dur("wait", wait).Msg("download failed, trying again")
		select {
		case <-time.After(wait):
			wait *= 2
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
}

// try downloads to a temporary name, and renames what has the right digest.
func try(ctx context.Context, task *pipeline.Task, from, to, sum string) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	watch := time.AfterFunc(stall, func() { cancel(fmt.Errorf("no data for %v", stall)) })
	defer watch.Stop()
	body, size, err := get(ctx, from)
	if err != nil {
		return err
	}
	defer body.Close()
	tmp, err := os.CreateTemp(filepath.Dir(to), ".download-*")
	if err != nil {
		return permanent{err}
	}
	defer os.Remove(tmp.Name())
	defer tmp.Close()
	hash := sha256.New()
	meter := &meter{task: task, watch: watch, total: size, name: filepath.Base(to)}
	n, err := io.Copy(io.MultiWriter(tmp, hash, meter), io.LimitReader(body, maxDownload+1))
	switch got := hex.EncodeToString(hash.Sum(nil)); {
	case err != nil && context.Cause(ctx) != nil:
		return fmt.Errorf("after %d bytes: %w", n, context.Cause(ctx))
	case err != nil:
		return fmt.Errorf("after %d bytes: %w", n, err)
	case n > maxDownload:
		return permanent{fmt.Errorf("more than %d bytes", maxDownload)}
	case got != sum:
		return permanent{fmt.Errorf("SHA-256 is %s, want %s: not the file that was asked for (%d bytes)", got, sum, n)}
	}
	if err := tmp.Close(); err != nil {
		return permanent{err}
	}
	return os.Rename(tmp.Name(), to)
}

// get requests the file as it is: a transport must not unpack what is to be
// hashed.
func get(ctx context.Context, from string) (body io.ReadCloser, size int64, err error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, from, nil)
	if err != nil {
		return nil, 0, permanent{err}
	}
	transport := http.DefaultTransport.(*http.Transport).Clone()
	transport.DisableCompression = true
	transport.DisableKeepAlives = true
	resp, err := (&http.Client{Transport: transport}).Do(req)
	if err != nil {
		if cause := context.Cause(ctx); cause != nil {
			err = cause
		}
		return nil, 0, err
	}
	if resp.StatusCode != http.StatusOK {
		resp.Body.Close()
		err := fmt.Errorf("the server says %s", resp.Status)
		if resp.StatusCode < 500 && resp.StatusCode != http.StatusTooManyRequests && resp.StatusCode != http.StatusRequestTimeout {
			err = permanent{err}
		}
		return nil, 0, err
	}
	if resp.ContentLength > maxDownload {
		resp.Body.Close()
		return nil, 0, permanent{fmt.Errorf("%d bytes, more than %d", resp.ContentLength, maxDownload)}
	}
	return resp.Body, resp.ContentLength, nil
}

// meter reports how far a download has come, and holds off the stall watch.
type meter struct {
	task        *pipeline.Task
	watch       *time.Timer
	done, total int64
	name        string
}

func (m *meter) Write(b []byte) (int, error) {
	m.watch.Reset(stall)
	m.done += int64(len(b))
	m.task.Report(pipeline.Progress{Done: float64(m.done), Total: float64(max(0, m.total)), Unit: "bytes", Note: "downloading " + m.name})
	return len(b), nil
}

func hashFile(path string) (string, error) {
	f, err := os.Open(path)
	if err != nil {
		return "", err
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return "", err
	}
	return hex.EncodeToString(h.Sum(nil)), nil
}
