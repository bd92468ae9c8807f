package kubernetes_test

import (
	"bytes"
	"crypto/tls"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"

	"eyrie/pipeline/cluster"
	"eyrie/pipeline/cluster/kubernetes"
	"eyrie/pipeline/cluster/kubernetes/api"
)

// real is an API server of Kubernetes without controllers: the test does what these do.
type real struct {
	*testing.T
	address, token string // "127.0.0.1:6443"
	client         *http.Client
}

// do makes a request that must succeed.
func (r *real) do(method, path, kind string, body any) []byte {
	r.Helper()
	b, err := json.Marshal(body)
	if err != nil {
		r.Fatal(err)
	}
	q, err := http.NewRequestWithContext(r.Context(), method, "https://"+r.address+path, bytes.NewReader(b))
	if err != nil {
		r.Fatal(err)
	}
	q.Header.Set("Authorization", "Bearer "+r.token)
	q.Header.Set("Content-Type", kind)
	w, err := r.client.Do(q)
	if err != nil {
		r.Fatal(err)
	}
	defer w.Body.Close()
	answer, _ := io.ReadAll(w.Body)
	if w.StatusCode >= 300 {
		r.Fatalf("%s %s: %s\n%s", method, path, w.Status, answer)
	}
	return answer
}

const plain, merge = "application/json", "application/merge-patch+json"

// pod makes the pod of a job, as the job's controller does, and returns its path.
func (r *real) pod(namespace, job string) string {
	r.Helper()
	var j api.Job
	if err := json.Unmarshal(r.do("GET", "/apis/batch/v1/namespaces/"+namespace+"/jobs/"+job, plain, nil), &j); err != nil {
		r.Fatal(err)
	}
	path := "/api/v1/namespaces/" + namespace + "/pods"
	p := api.Pod{APIVersion: "v1", Kind: "Pod", Metadata: api.Meta{Name: job + "-pod", Labels: j.Spec.Template.Metadata.Labels}, Spec: j.Spec.Template.Spec}
	r.do("POST", path, plain, p)
	return path + "/" + p.Metadata.Name
}

// proxy passes connections on until it is cut.
type proxy struct {
	net.Listener
	mu    sync.Mutex
	conns []net.Conn
	cuts  int
}

func (p *proxy) serve(to string) {
	for {
		in, err := p.Accept()
		if err != nil {
			return
		}
		out, err := net.Dial("tcp", to)
		if err != nil {
			in.Close()
			continue
		}
		p.mu.Lock()
		p.conns = append(p.conns, in, out)
		p.mu.Unlock()
		go func() { _, _ = io.Copy(out, in); out.Close() }()
		go func() { _, _ = io.Copy(in, out); in.Close() }()
	}
}

func (p *proxy) cut() {
	p.mu.Lock()
	defer p.mu.Unlock()
	for _, c := range p.conns {
		c.Close()
	}
	p.cuts += len(p.conns) / 2
	p.conns = nil
}

// TestRealServer is for a server that somebody has started: EYRIE_KUBERNETES=ADDRESS=TOKEN, such as
// 127.0.0.1:6443=abc, with a namespace "lab" and no controllers.
func TestRealServer(t *testing.T) {
	address, token, ok := strings.Cut(os.Getenv("EYRIE_KUBERNETES"), "=")
	if !ok {
		t.Skip("EYRIE_KUBERNETES names no API server")
	}
	r := &real{t, address, token, &http.Client{Transport: &http.Transport{TLSClientConfig: &tls.Config{InsecureSkipVerify: true}}}}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	p := &proxy{Listener: l}
	go p.serve(address)
	path := filepath.Join(t.TempDir(), "config")
	text := fmt.Sprintf(`{"apiVersion": "v1", "kind": "Config", "current-context": "x", "clusters": [{"name": "x", "cluster": {"server": "https://%s", "insecure-skip-tls-verify": true}}],
 "users": [{"name": "x", "user": {"token": %q}}], "contexts": [{"name": "x", "context": {"cluster": "x", "user": "x", "namespace": "lab"}}]}`, l.Addr(), token)
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("KUBECONFIG", path)
	c := config()
	c.User, c.Scratch = 1000, "/scratch"
	c.Tolerations, c.NodeSelector = []string{"dedicated"}, map[string]string{"gpu": "a100"}
	s := kubernetes.New(c)
	version, err := s.Check(t.Context())
	t.Log(version, err)

	b := batch(fmt.Sprintf("eyrie-real-%d", os.Getpid()), 3)
	ids := submit(t, s, b)
	again := submit(t, s, b)
	found, err := s.Find(t.Context(), b)
	if !slices.Equal(ids, again) || !slices.Equal(ids, found) || err != nil {
		t.Fatalf("%v, again %v, found %v, %v", ids, again, found, err)
	}
	await(t, s, ids[0], "pending", state(cluster.Pending))
	pods := []string{r.pod("lab", ids[0]), r.pod("lab", ids[1])}
	unschedulable := map[string]any{"phase": "Pending", "conditions": []api.Condition{{Type: "PodScheduled", Status: "False", Reason: "Unschedulable", Message: "0/0 nodes are available"}}}
	r.do("PATCH", pods[0]+"/status", merge, map[string]any{"status": unschedulable})
	t.Logf("%+v", await(t, s, ids[0], "unschedulable", func(s cluster.Status) bool { return strings.Contains(s.Reason, "0/0 nodes") }))
	p.cut()
	r.do("PATCH", pods[0]+"/status", merge, map[string]any{"status": map[string]any{"phase": "Running"}})
	t.Logf("%+v", await(t, s, ids[0], "running", state(cluster.Running)))
	r.do("PATCH", pods[1]+"/status", merge, map[string]any{"status": map[string]any{"phase": "Failed", "containerStatuses": []any{map[string]any{
		"name": "runner", "image": "x", "imageID": "", "ready": false, "restartCount": 0, "state": map[string]any{"terminated": map[string]any{"exitCode": 137, "reason": "OOMKilled"}}}}}})
	job := "/apis/batch/v1/namespaces/lab/jobs/" + ids[1]
	now := "2026-01-01T00:00:00Z"
	r.do("PATCH", job+"/status", merge, map[string]any{"status": map[string]any{"startTime": now, "failed": 1, "conditions": []any{
		map[string]any{"type": "FailureTarget", "status": "True", "reason": "BackoffLimitExceeded", "lastTransitionTime": now},
		map[string]any{"type": "Failed", "status": "True", "reason": "BackoffLimitExceeded", "lastTransitionTime": now}}}})
	last := await(t, s, ids[1], "over", state(cluster.Ended))
	t.Logf("%+v: %v", last, s.Explain(t.Context(), ids[1], last).Err)
	if err := s.Cancel(t.Context(), ids); err != nil {
		t.Fatal(err)
	}
	await(t, s, ids[0], "being deleted", func(s cluster.Status) bool { return s.State == cluster.Running && s.Code == "CANCELLED" })
	for _, id := range ids { // as the garbage collector does when the pods are gone
		r.do("PATCH", "/apis/batch/v1/namespaces/lab/jobs/"+id, merge, map[string]any{"metadata": map[string]any{"finalizers": nil}})
	}
	for _, pod := range pods {
		r.do("DELETE", pod, plain, map[string]any{"gracePeriodSeconds": 0})
	}
	for _, id := range ids {
		await(t, s, id, "gone", state(cluster.Unknown))
	}
	t.Logf("%d connections were cut", p.cuts)
}
