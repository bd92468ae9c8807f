package export

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"os"
	"strings"
	"time"
)

// Server is an MLflow tracking server, spoken to by its REST API.
type Server struct {
	URL      string // "http://127.0.0.1:5000"
	User     string // for basic authentication, with Password; "" for none
	Password string
	Token    string // for a bearer token; "" for none
	Client   *http.Client
}

// apiError is an answer of the server that is no success.
type apiError struct {
	status  int
	Code    string `json:"error_code"`
	Message string `json:"message"`
}

func (e *apiError) Error() string {
	if e.Code == "" {
		return fmt.Sprintf("the server answered %d %s", e.status, http.StatusText(e.status))
	}
	first, _, _ := strings.Cut(e.Message, "\n")
	return fmt.Sprintf("the server answered %s: %s", e.Code, first)
}

// call sends a request with a body in JSON, and decodes the answer.
func (s *Server) call(ctx context.Context, method, path string, body, answer any) error {
	var content []byte
	if body != nil {
		var err error
		if content, err = json.Marshal(body); err != nil {
			return err
		}
	}
	b, err := s.send(ctx, method, "/api/2.0/mlflow/"+path, "application/json", int64(len(content)), func() (io.ReadCloser, error) {
		return io.NopCloser(bytes.NewReader(content)), nil
	})
	if err != nil || answer == nil {
		return err
	}
	if err := json.Unmarshal(b, answer); err != nil {
		return fmt.Errorf("%s does not speak MLflow's REST API: its answer is not JSON", s.URL)
	}
	return nil
}

// tries is how often a request is sent whose failure may pass: all of ours can be
// repeated, except that a run may be made twice, which costs one that stays empty.
const tries = 4

// send sends a request, again where the failure may pass, and returns the answer.
func (s *Server) send(ctx context.Context, method, path, media string, size int64, open func() (io.ReadCloser, error)) ([]byte, error) {
	for n := 1; ; n++ {
		b, err := s.once(ctx, method, path, media, size, open)
		var answer *apiError
		if err == nil || ctx.Err() != nil || n == tries || errors.As(err, &answer) && answer.status < 500 && answer.status != http.StatusTooManyRequests {
			return b, err
		}
		select {
		case <-time.After(time.Second << (n - 1)):
		case <-ctx.Done():
			return nil, err
		}
	}
}

func (s *Server) once(ctx context.Context, method, path, media string, size int64, open func() (io.ReadCloser, error)) ([]byte, error) {
	body, err := open()
	if err != nil {
		return nil, err
	}
	defer body.Close()
	req, err := http.NewRequestWithContext(ctx, method, strings.TrimSuffix(s.URL, "/")+path, body)
	if err != nil {
		return nil, err
	}
	req.ContentLength = size
	if size == 0 {
		req.Body = http.NoBody
	}
	req.Header.Set("Content-Type", media)
	if s.Token != "" {
		req.Header.Set("Authorization", "Bearer "+s.Token)
	} else if s.User != "" {
		req.SetBasicAuth(s.User, s.Password)
	}
	res, err := cmp.Or(s.Client, http.DefaultClient).Do(req)
	if failed := (*url.Error)(nil); errors.As(err, &failed) { // which would repeat the whole address
		return nil, fmt.Errorf("%s does not answer: %w", s.URL, failed.Err)
	} else if err != nil {
		return nil, err
	}
	defer res.Body.Close()
	const most = 64 << 20 // bytes
	b, err := io.ReadAll(io.LimitReader(res.Body, most))
	if err != nil {
		return nil, err
	}
	if res.StatusCode/100 != 2 {
		answer := &apiError{status: res.StatusCode}
		_ = json.Unmarshal(b, answer) // a proxy's page is none
		return nil, answer
	}
	return b, nil
}

// Experiment implements Tracker.
func (s *Server) Experiment(ctx context.Context, name string) (string, error) {
	var got struct {
		Experiment struct {
			ID    string `json:"experiment_id"`
			Stage string `json:"lifecycle_stage"`
		} `json:"experiment"`
	}
	err := s.call(ctx, http.MethodGet, "experiments/get-by-name?experiment_name="+url.QueryEscape(name), nil, &got)
	var answer *apiError
	switch {
	case err == nil && got.Experiment.ID == "":
		return "", fmt.Errorf("%s does not speak MLflow's REST API: it names no experiment", s.URL)
	case err == nil && got.Experiment.Stage == "deleted":
		return "", fmt.Errorf("the experiment %q was deleted at %s: restore it there, or name another one", name, s.URL)
	case err == nil:
		return got.Experiment.ID, nil
	case !errors.As(err, &answer) || answer.Code != "RESOURCE_DOES_NOT_EXIST":
		return "", err
	}
	var made struct {
		ID string `json:"experiment_id"`
	}
	err = s.call(ctx, http.MethodPost, "experiments/create", map[string]string{"name": name}, &made)
	if errors.As(err, &answer) && answer.Code == "RESOURCE_ALREADY_EXISTS" { // another export was faster
		return s.Experiment(ctx, name)
	}
	return made.ID, err
}

// runJSON is a run as the server has it.
type runJSON struct {
	Info struct {
		ID       string `json:"run_id"`
		Artifact string `json:"artifact_uri"`
	} `json:"info"`
	Data struct {
		Tags []Entry `json:"tags"`
	} `json:"data"`
}

func (r *runJSON) found() *Found {
	f := &Found{ID: r.Info.ID, Tags: make(map[string]string, len(r.Data.Tags)), where: r.Info.Artifact}
	for _, t := range r.Data.Tags {
		f.Tags[t.Key] = t.Value
	}
	return f
}

// Find implements Tracker.
func (s *Server) Find(ctx context.Context, experiment string, tags []Entry) (*Found, error) {
	filters := make([]string, len(tags))
	for i, t := range tags {
		quote := `'`
		if strings.Contains(t.Value, quote) { // there is no escape
			quote = `"`
		}
		filters[i] = "tags.`" + t.Key + "` = " + quote + t.Value + quote
	}
	var got struct {
		Runs []runJSON `json:"runs"`
	}
	err := s.call(ctx, http.MethodPost, "runs/search", map[string]any{"experiment_ids": []string{experiment}, "filter": strings.Join(filters, " and "), "max_results": 1}, &got)
	if err != nil || len(got.Runs) == 0 {
		return nil, err
	}
	return got.Runs[0].found(), nil
}

// Create implements Tracker.
func (s *Server) Create(ctx context.Context, experiment, name string, start time.Time, tags []Entry) (*Found, error) {
	var made struct {
		Run runJSON `json:"run"`
	}
	err := s.call(ctx, http.MethodPost, "runs/create", map[string]any{"experiment_id": experiment, "run_name": name, "start_time": start.UnixMilli(), "tags": tags}, &made)
	if err != nil {
		return nil, err
	}
	return made.Run.found(), nil
}

// Log implements Tracker. A request takes at most 1000 metrics, 100 parameters and 100
// tags, and 1000 of all.
func (s *Server) Log(ctx context.Context, run *Found, params []Entry, metrics []Metric, tags []Entry) error {
	for len(params)+len(metrics)+len(tags) > 0 {
		body := map[string]any{"run_id": run.ID,
			"params": cut(&params, 100), "metrics": cut(&metrics, 800), "tags": cut(&tags, 100)}
		if err := s.call(ctx, http.MethodPost, "runs/log-batch", body, nil); err != nil {
			return err
		}
	}
	return nil
}

// cut takes up to n elements from the beginning of a list. It returns no nil: the server
// fails on null.
func cut[T any](all *[]T, n int) []T {
	n = min(n, len(*all))
	first := append([]T{}, (*all)[:n]...)
	*all = (*all)[n:]
	return first
}

// End implements Tracker.
func (s *Server) End(ctx context.Context, run *Found, status string, end time.Time) error {
	return s.call(ctx, http.MethodPost, "runs/update", map[string]any{"run_id": run.ID, "status": status, "end_time": end.UnixMilli()}, nil)
}

// Upload implements Tracker, for servers that pass artifacts on. One that has clients
// write to its bucket themselves would need that bucket's client here.
func (s *Server) Upload(ctx context.Context, run *Found, name, path string) error {
	at, ok := strings.CutPrefix(run.where, "mlflow-artifacts:/")
	if !ok {
		return fmt.Errorf("the server keeps artifacts at %s and does not take them itself: start it with --serve-artifacts, or export with --no-files", run.where)
	}
	if _, rest, ok := strings.Cut(strings.TrimPrefix(at, "/"), "//"); ok { // mlflow-artifacts://host/…
		at = rest
	}
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	elements := strings.Split(strings.Trim(at, "/")+"/"+name, "/")
	for i := range elements {
		elements[i] = url.PathEscape(elements[i])
	}
	_, err = s.send(ctx, http.MethodPut, "/api/2.0/mlflow-artifacts/artifacts/"+strings.Join(elements, "/"), "application/octet-stream", info.Size(),
		func() (io.ReadCloser, error) { return os.Open(path) })
	return err
}
