package export

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
)

// mlflowServer starts a tracking server, which the test stops.
func mlflowServer(t *testing.T) string {
	t.Helper()
	mlflow := program(t, "mlflow/bin/mlflow")
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_, port, _ := net.SplitHostPort(l.Addr().String())
	l.Close()
	dir := t.TempDir()
	var log bytes.Buffer
	cmd := exec.Command(mlflow, "server", "--host", "127.0.0.1", "--port", port, "--workers", "1", "--backend-store-uri", "sqlite:///runs.db", "--artifacts-destination", filepath.Join(dir, "artifacts"))
	cmd.Dir, cmd.Stdout, cmd.Stderr, cmd.Env = dir, &log, &log, append(os.Environ(), "MLFLOW_DISABLE_TELEMETRY=true", "DO_NOT_TRACK=true")
	group(cmd)
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	t.Cleanup(func() {
		stop(cmd)
		<-ended
		if t.Failed() {
			t.Logf("%s", &log)
		}
	})
	url := "http://127.0.0.1:" + port
	for deadline := time.Now().Add(2 * time.Minute); ; {
		if res, err := http.Get(url + "/health"); err == nil {
			res.Body.Close()
			return url
		}
		select {
		case err := <-ended:
			ended <- err
			t.Fatalf("the server ended: %v\n%s", err, &log)
		case <-time.After(100 * time.Millisecond):
		}
		if time.Now().After(deadline) {
			t.Fatalf("the server does not answer\n%s", &log)
		}
	}
}

// seen is a run as the server shows it.
type seen struct {
	Info struct {
		ID     string `json:"run_id"`
		Name   string `json:"run_name"`
		Status string `json:"status"`
	} `json:"info"`
	Data struct {
		Metrics []Metric `json:"metrics"`
		Params  []Entry  `json:"params"`
		Tags    []Entry  `json:"tags"`
	} `json:"data"`
}

func valueOf(entries []Entry, key string) string {
	for _, e := range entries {
		if e.Key == key {
			return e.Value
		}
	}
	return "(none)"
}

func runsAt(t *testing.T, s *Server, experiment string) map[string]seen {
	t.Helper()
	id, err := s.Experiment(t.Context(), experiment)
	if err != nil {
		t.Fatal(err)
	}
	var got struct {
		Runs []seen `json:"runs"`
	}
	if err := s.call(t.Context(), http.MethodPost, "runs/search", map[string]any{"experiment_ids": []string{id}, "max_results": 100}, &got); err != nil {
		t.Fatal(err)
	}
	byName := make(map[string]seen)
	for _, r := range got.Runs {
		if _, twice := byName[r.Info.Name]; twice {
			t.Errorf("%s is there twice", r.Info.Name)
		}
		byName[r.Info.Name] = r
	}
	return byName
}

// A real server shows a run, its steps below it, and their numbers with where they are
// from; the same export again changes nothing, and one that was cut off is completed.
func TestMLflowServer(t *testing.T) {
	r, fetch := sample(t)
	server := &Server{URL: mlflowServer(t)}

	t.Run("cut off", func(t *testing.T) {
		for after := 1; after < 12; after += 3 {
			cut := &Server{URL: server.URL, Client: &http.Client{Transport: &failing{after: after}}}
			if _, err := MLflow(t.Context(), cut, "a sweep", r, fetch); err == nil {
				t.Errorf("no error after %d requests", after)
			}
		}
	})
	sent, err := MLflow(t.Context(), server, "a sweep", r, fetch)
	if err != nil {
		t.Fatal(err)
	}
	runs := runsAt(t, server, "a sweep")
	if len(runs) != 4 {
		t.Fatalf("%d runs, want the run and its 3 steps", len(runs))
	}
	whole, train := runs["sweep "+r.ID], runs[`train["0.5 × ½"]`]
	if whole.Info.ID != sent.Run || whole.Info.Status != "FAILED" || train.Info.Status != "FINISHED" || runs["late"].Info.Status != "FAILED" || runs["never"].Info.Status != "KILLED" {
		t.Errorf("%+v", runs)
	}
	for _, want := range []struct{ got, want string }{
		{valueOf(whole.Data.Params, "width"), "0.5"},
		{valueOf(whole.Data.Params, "deep.on"), "true"},
		{valueOf(whole.Data.Tags, "mlflow.source.git.commit"), r.Commit},
		{valueOf(whole.Data.Tags, "provenance.latency"), "measured"},
		{valueOf(train.Data.Tags, "mlflow.parentRunId"), sent.Run},
		{valueOf(train.Data.Tags, "provenance.curve.accuracy"), "measured"},
		{valueOf(train.Data.Params, "width"), "0.5"},
		{valueOf(train.Data.Params, "token"), "(sensitive)"},
		{valueOf(train.Data.Params, "kernels"), "[3,5]"},
	} {
		if want.got != want.want {
			t.Errorf("got %q, want %q", want.got, want.want)
		}
	}
	var history struct {
		Metrics []Metric `json:"metrics"`
	}
	if err := server.call(t.Context(), http.MethodGet, "metrics/get-history?metric_key=curve.accuracy&run_id="+train.Info.ID, nil, &history); err != nil {
		t.Fatal(err)
	}
	var curve []float64
	for _, m := range history.Metrics {
		curve = append(curve, m.Value)
	}
	if slices.Sort(curve); !slices.Equal(curve, []float64{0.5, 0.75, 0.8}) {
		t.Errorf("the curve is %v", curve)
	}
	for name, want := range map[string]string{"table.md": "| a |\n", "both/images/cat/1.png": "no png"} {
		res, err := http.Get(server.URL + "/get-artifact?run_uuid=" + sent.Run + "&path=" + name)
		if err != nil {
			t.Fatal(err)
		}
		text, _ := io.ReadAll(res.Body)
		res.Body.Close()
		if string(text) != want {
			t.Errorf("artifact %s: %d %q", name, res.StatusCode, text)
		}
	}
	if again, err := MLflow(t.Context(), server, "a sweep", r, fetch); err != nil || again.Run != sent.Run || again.New != 0 {
		t.Errorf("exported again: %+v, %v", again, err)
	}
	if n := len(runsAt(t, server, "a sweep")); n != 4 {
		t.Errorf("%d runs after the second export", n)
	}
}

// failing is a network that is gone after a number of requests.
type failing struct {
	mu    sync.Mutex
	after int
}

func (f *failing) RoundTrip(req *http.Request) (*http.Response, error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.after--; f.after < 0 {
		return &http.Response{StatusCode: http.StatusForbidden, Body: io.NopCloser(strings.NewReader("")), Request: req}, nil
	}
	return http.DefaultTransport.RoundTrip(req)
}

// MLflow itself reads what is written to a directory.
func TestMLflowDirectory(t *testing.T) {
	python := program(t, "mlflow/bin/python")
	r, fetch := sample(t)
	dir := filepath.Join(t.TempDir(), "mlruns")
	if _, err := MLflow(t.Context(), &Directory{Path: dir}, "a sweep", r, fetch); err != nil {
		t.Fatal(err)
	}
	if again, err := MLflow(t.Context(), &Directory{Path: dir}, "a sweep", r, fetch); err != nil || again.New != 0 {
		t.Errorf("exported again: %+v, %v", again, err)
	}
	cmd := exec.Command(python, "-c", `
import json, sys
from mlflow.tracking import MlflowClient
c = MlflowClient(tracking_uri="file://" + sys.argv[1])
e = c.get_experiment_by_name("a sweep")
runs = {r.info.run_name: r for r in c.search_runs([e.experiment_id])}
train = runs['train["0.5 × ½"]']
whole = runs["sweep " + sys.argv[2]]
print(json.dumps([sorted(runs), train.data.params["width"], [m.value for m in c.get_metric_history(train.info.run_id, "curve.accuracy")],
  train.data.tags["mlflow.parentRunId"] == whole.info.run_id, whole.info.status, train.info.status, [f.path for f in c.list_artifacts(whole.info.run_id)]]))
`, dir, r.ID)
	cmd.Env = append(os.Environ(), "MLFLOW_DISABLE_TELEMETRY=true", "MLFLOW_ALLOW_FILE_STORE=true")
	var stderr bytes.Buffer
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("%v\n%s", err, &stderr)
	}
	const want = `[["late", "never", "sweep 20261120T100000Z-abcdef", "train[\"0.5 \u00d7 \u00bd\"]"], "0.5", [0.5, 0.75, 0.8], true, "FAILED", "FINISHED", ["both", "table.md"]]`
	if got := strings.TrimSpace(string(out)); got != want {
		t.Errorf("got  %s\nwant %s", got, want)
	}
}

// What the server says is passed on in a line; what may pass is tried again, what may not
// is not.
func TestServerErrors(t *testing.T) {
	for _, test := range []struct {
		name, want string
		calls      int
		answer     func(n int, w http.ResponseWriter)
	}{
		{"refused", "the server answered PERMISSION_DENIED: not yours", 1, func(_ int, w http.ResponseWriter) {
			w.WriteHeader(http.StatusForbidden)
			fmt.Fprint(w, `{"error_code":"PERMISSION_DENIED","message":"not yours\nat line 3"}`)
		}},
		{"no MLflow", "does not speak MLflow's REST API", 1, func(_ int, w http.ResponseWriter) { fmt.Fprint(w, "<html>") }},
		{"another page", "does not speak MLflow's REST API", 1, func(_ int, w http.ResponseWriter) { fmt.Fprint(w, "{}") }},
		{"busy", "", 2, func(n int, w http.ResponseWriter) {
			if n == 1 {
				w.WriteHeader(http.StatusServiceUnavailable)
				return
			}
			fmt.Fprint(w, `{"experiment":{"experiment_id":"7"}}`)
		}},
		{"deleted", `the experiment "x" was deleted`, 1, func(_ int, w http.ResponseWriter) {
			fmt.Fprint(w, `{"experiment":{"experiment_id":"7","lifecycle_stage":"deleted"}}`)
		}},
	} {
		t.Run(test.name, func(t *testing.T) {
			calls := 0
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				calls++
				test.answer(calls, w)
			}))
			defer server.Close()
			_, err := (&Server{URL: server.URL}).Experiment(t.Context(), "x")
			if calls != test.calls || (err == nil) != (test.want == "") || err != nil && !strings.Contains(err.Error(), test.want) {
				t.Errorf("%d calls, %v", calls, err)
			}
		})
	}
}

// Credentials are sent and are in no error.
func TestServerCredentials(t *testing.T) {
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, req *http.Request) {
		user, password, _ := req.BasicAuth()
		if user != "me" || password != "geheim" {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		_ = json.NewEncoder(w).Encode(map[string]any{"experiment": map[string]string{"experiment_id": "7"}})
	}))
	defer server.Close()
	if id, err := (&Server{URL: server.URL, User: "me", Password: "geheim"}).Experiment(t.Context(), "x"); err != nil || id != "7" {
		t.Errorf("%q, %v", id, err)
	}
	_, err := (&Server{URL: server.URL, User: "me", Password: "falsch"}).Experiment(t.Context(), "x")
	if err == nil || strings.Contains(err.Error(), "falsch") {
		t.Errorf("%v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := (&Server{URL: server.URL}).Experiment(ctx, "x"); !errors.Is(err, context.Canceled) {
		t.Errorf("%v", err)
	}
}
