// Package kubetest is a server, for tests, that does as an API server of Kubernetes does, with its
// controllers and one node: it keeps jobs and pods, tells of changes, and runs a pod's command as a
// process. It also does what such servers do at their worst.
package kubetest

import (
	"bytes"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"eyrie/pipeline/cluster/kubernetes/api"
)

// token is what the server wants of whoever asks.
const token = "a-token-of-nobody"

// Server is a server that ends with the test, with all that its pods have started.
type Server struct {
	t    testing.TB
	dir  string
	http *httptest.Server

	// Program is what a pod runs in place of its command's first word.
	Program string
	// Secrets are variables, by the name of a Secret.
	Secrets map[string]map[string]string
	// Hold keeps pods from being started.
	Hold bool
	// Quota is how many jobs there may be; 0 for any number.
	Quota int

	mu      sync.Mutex
	answers func(r *http.Request) int
	version int
	oldest  int // what is before it is forgotten
	jobs    map[string]*api.Job
	pods    map[string]*pod
	history []change
	changed chan struct{} // closed with each change
	cut     chan struct{} // closed to cut watches
	ending  bool          // no watch begins any more
	calls   map[string]int
	events  []api.Event
	wait    sync.WaitGroup
}

type pod struct {
	api.Pod
	process *exec.Cmd
	log     *bytes.Buffer
	why     string // it was told to stop, as its status will say
	deleted bool   // it is gone once it has ended
}

type change struct {
	version int
	kind    string // "jobs" or "pods"
	what    string
	object  []byte
	labels  map[string]string
}

// Start starts a server, and has the test's process use it.
func Start(t testing.TB) *Server {
	t.Helper()
	dir, err := os.MkdirTemp("", "kube")
	if err != nil {
		t.Fatal(err)
	}
	s := &Server{t: t, dir: dir, jobs: map[string]*api.Job{}, pods: map[string]*pod{}, changed: make(chan struct{}), cut: make(chan struct{}), calls: map[string]int{}, version: 100}
	s.http = httptest.NewTLSServer(http.HandlerFunc(s.serve))
	ca := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: s.http.Certificate().Raw})
	config := fmt.Sprintf(`apiVersion: v1
kind: Config
current-context: test
clusters: [{name: c, cluster: {server: %q, certificate-authority-data: %s}}]
users: [{name: u, user: {token: %s}}]
contexts: [{name: test, context: {cluster: c, user: u, namespace: lab}}]
`, s.http.URL, base64.StdEncoding.EncodeToString(ca), token)
	path := filepath.Join(dir, "kubeconfig")
	if err := os.WriteFile(path, []byte(config), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Setenv("KUBECONFIG", path)
	t.Cleanup(s.end)
	return s
}

// Answer has f, unless it is nil, answer requests itself, by a status, 0 for not at all.
func (s *Server) Answer(f func(r *http.Request) int) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.answers = f
}

func (s *Server) end() {
	s.mu.Lock()
	s.Hold, s.ending = true, true
	for _, p := range s.pods {
		if p.process != nil {
			_ = syscall.Kill(-p.process.Process.Pid, syscall.SIGKILL)
		}
	}
	s.mu.Unlock()
	s.CutWatches()
	s.http.CloseClientConnections()
	s.http.Close()
	s.wait.Wait()
	_ = os.RemoveAll(s.dir)
}

// Calls returns how often there was a request: "POST jobs", "TRY jobs" where
// nothing is made, "LIST pods", "WATCH jobs", "DELETE jobs".
func (s *Server) Calls(what string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.calls[what]
}

// CutWatches ends all connections that are told of changes.
func (s *Server) CutWatches() {
	s.mu.Lock()
	defer s.mu.Unlock()
	close(s.cut)
	s.cut = make(chan struct{})
}

// Forget has the server know nothing of what was before now: who wants to be told of that must
// list anew.
func (s *Server) Forget() {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.oldest = s.version
	s.history = nil
}

// Jobs returns the names of all jobs.
func (s *Server) Jobs() (all []string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for name := range s.jobs {
		all = append(all, name)
	}
	slices.Sort(all)
	return all
}

// Job returns a job; an empty one if there is none.
func (s *Server) Job(name string) api.Job {
	s.mu.Lock()
	defer s.mu.Unlock()
	if job := s.jobs[name]; job != nil {
		return *job
	}
	return api.Job{}
}

// SetPod changes the pod of a job, as a kubelet does.
func (s *Server) SetPod(job string, set func(p *api.Pod)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, p := range s.pods {
		if p.Metadata.Labels["eyrie/job"] == job {
			set(&p.Pod)
			s.note("pods", "MODIFIED", &p.Pod, &p.Metadata)
		}
	}
}

// SetJob changes a job, as its controller does.
func (s *Server) SetJob(name string, set func(j *api.Job)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	set(s.jobs[name])
	s.note("jobs", "MODIFIED", s.jobs[name], &s.jobs[name].Metadata)
}

// Remove removes a job and its pods at once, as if they had never been.
func (s *Server) Remove(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.drop(name)
}

// Tell adds an event about a job.
func (s *Server) Tell(job, reason, message string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	e := api.Event{Reason: reason, Message: message}
	e.InvolvedObject.Kind, e.InvolvedObject.Name = "Job", job
	s.events = append(s.events, e)
}

// note notes a change. The caller holds mu.
func (s *Server) note(kind, what string, object any, meta *api.Meta) {
	s.version++
	meta.ResourceVersion = strconv.Itoa(s.version)
	b, err := json.Marshal(object)
	if err != nil {
		s.t.Error(err)
	}
	s.history = append(s.history, change{s.version, kind, what, b, meta.Labels})
	close(s.changed)
	s.changed = make(chan struct{})
}

func (s *Server) serve(w http.ResponseWriter, r *http.Request) {
	if r.Header.Get("Authorization") != "Bearer "+token {
		fail(w, 401, "Unauthorized", "Unauthorized")
		return
	}
	verb, kind, name := request(r)
	s.mu.Lock()
	if r.URL.Query().Get("dryRun") != "" {
		verb = "TRY"
	}
	s.calls[verb+" "+kind]++
	before := s.answers
	s.mu.Unlock()
	if before != nil {
		if n := before(r); n != 0 {
			w.Header().Set("Retry-After", "0")
			fail(w, n, "InternalError", "the server is not itself")
			return
		}
	}
	switch verb + " " + kind {
	case "GET version":
		answer(w, 200, map[string]string{"gitVersion": "v1.37.2"})
	case "POST selfsubjectaccessreviews":
		answer(w, 201, map[string]any{"status": map[string]bool{"allowed": true}})
	case "POST jobs", "TRY jobs":
		s.create(w, r)
	case "GET jobs":
		s.get(w, name)
	case "DELETE jobs":
		s.delete(w, r, name)
	case "LIST jobs", "LIST pods", "LIST events":
		s.list(w, r, kind)
	case "WATCH jobs", "WATCH pods":
		s.watch(w, r, kind)
	case "GET log":
		s.log(w, strings.TrimSuffix(name, "/log"))
	default:
		fail(w, 404, "NotFound", "the server could not find the requested resource")
	}
}

// request returns what is asked for.
func request(r *http.Request) (verb, kind, name string) {
	verb = r.Method
	path := r.URL.Path
	if i := strings.Index(path, "/namespaces/lab/"); i >= 0 {
		kind, name, _ = strings.Cut(path[i+len("/namespaces/lab/"):], "/")
	} else {
		kind = path[strings.LastIndexByte(path, '/')+1:]
	}
	switch {
	case kind == "pods" && strings.HasSuffix(name, "/log"):
		kind = "log"
	case verb == "GET" && r.URL.Query().Get("watch") != "":
		verb = "WATCH"
	case verb == "GET" && name == "" && kind != "version":
		verb = "LIST"
	}
	return verb, kind, name
}

func answer(w http.ResponseWriter, code int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(code)
	_ = json.NewEncoder(w).Encode(v)
}

func fail(w http.ResponseWriter, code int, reason, message string) {
	answer(w, code, api.Status{Kind: "Status", Code: code, Reason: reason, Message: message})
}

func (s *Server) create(w http.ResponseWriter, r *http.Request) {
	job := &api.Job{}
	d := json.NewDecoder(r.Body)
	d.DisallowUnknownFields()
	if err := d.Decode(job); err != nil {
		fail(w, 400, "BadRequest", err.Error())
		return
	}
	spec := job.Spec.Template.Spec
	if spec.RestartPolicy != "Never" || len(spec.Containers) != 1 || spec.Containers[0].Image == "" || job.APIVersion != "batch/v1" {
		fail(w, 422, "Invalid", "Job.batch is invalid")
		return
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.Quota > 0 && len(s.jobs) >= s.Quota {
		fail(w, 403, "Forbidden", fmt.Sprintf("jobs.batch %q is forbidden: exceeded quota: q, requested: count/jobs.batch=1, used: count/jobs.batch=%d, limited: count/jobs.batch=%d", job.Metadata.Name, len(s.jobs), s.Quota))
		return
	}
	if r.URL.Query().Get("dryRun") == "All" {
		answer(w, 201, job)
		return
	}
	if s.jobs[job.Metadata.Name] != nil {
		fail(w, 409, "AlreadyExists", fmt.Sprintf("jobs.batch %q already exists", job.Metadata.Name))
		return
	}
	now := time.Now().UTC().Truncate(time.Second)
	job.Metadata.Namespace, job.Metadata.UID, job.Metadata.CreationTimestamp = "lab", strconv.Itoa(s.version), &now
	s.jobs[job.Metadata.Name] = job
	s.note("jobs", "ADDED", job, &job.Metadata)
	if !job.Spec.Suspend {
		s.newPod(job)
	}
	answer(w, 201, job)
}

// Begin lets a job begin that is suspended.
func (s *Server) Begin(name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	job := s.jobs[name]
	job.Spec.Suspend = false
	s.note("jobs", "MODIFIED", job, &job.Metadata)
	s.newPod(job)
}

// newPod makes a job's pod, and starts it. The caller holds mu.
func (s *Server) newPod(job *api.Job) {
	now := time.Now().UTC()
	p := &pod{log: &bytes.Buffer{}}
	p.Metadata = api.Meta{Name: fmt.Sprintf("%s-%d", job.Metadata.Name, s.version), Namespace: "lab", Labels: job.Spec.Template.Metadata.Labels, CreationTimestamp: &now}
	p.Spec, p.Status.Phase = job.Spec.Template.Spec, "Pending"
	s.pods[p.Metadata.Name] = p
	s.note("pods", "ADDED", &p.Pod, &p.Metadata)
	if s.Hold {
		return
	}
	p.Spec.NodeName, p.Status.Phase, p.Status.StartTime = "node-1", "Running", &now
	s.note("pods", "MODIFIED", &p.Pod, &p.Metadata)
	if err := s.run(p); err != nil {
		s.over(p, api.Terminated{ExitCode: 128, Reason: "StartError", Message: err.Error()})
	}
}

// run runs a pod's command in a directory of its own. The caller holds mu.
func (s *Server) run(p *pod) error {
	home := filepath.Join(s.dir, p.Metadata.Name)
	if err := os.MkdirAll(filepath.Join(home, "tmp"), 0o777); err != nil {
		return err
	}
	c := p.Spec.Containers[0]
	cmd := exec.Command(s.Program, c.Command[1:]...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = home, p.log, p.log
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	cmd.Env = []string{"PATH=" + os.Getenv("PATH"), "HOME=" + home, "TMPDIR=" + filepath.Join(home, "tmp")}
	for _, v := range c.Env {
		cmd.Env = append(cmd.Env, v.Name+"="+v.Value)
	}
	for _, from := range c.EnvFrom {
		for name, value := range s.Secrets[from.SecretRef.Name] {
			cmd.Env = append(cmd.Env, name+"="+value)
		}
	}
	if err := cmd.Start(); err != nil {
		return err
	}
	p.process = cmd
	s.wait.Go(func() {
		_ = cmd.Wait()
		s.mu.Lock()
		defer s.mu.Unlock()
		p.process = nil
		if s.pods[p.Metadata.Name] != p {
			return
		}
		t := api.Terminated{ExitCode: cmd.ProcessState.ExitCode(), Reason: "Error"}
		if status := cmd.ProcessState.Sys().(syscall.WaitStatus); status.Signaled() {
			t.ExitCode = 128 + int(status.Signal())
		}
		s.over(p, t)
	})
	return nil
}

// stop tells a job's pod to stop, as a kubelet does, and has it end as set says. It reports whether
// there is one that runs.
func (s *Server) stop(job string, set func(p *pod)) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, p := range s.pods {
		if p.Metadata.Labels["eyrie/job"] == job && p.process != nil {
			set(p)
			s.note("pods", "MODIFIED", &p.Pod, &p.Metadata)
			_ = p.process.Process.Signal(syscall.SIGTERM)
			return true
		}
	}
	return false
}

// Preempt takes a job's pod away for another one, as the scheduler does: it is told to stop, and is
// gone then, and the job begins again.
func (s *Server) Preempt(job string) bool {
	return s.stop(job, func(p *pod) {
		s.terminating(p)
		p.Status.Conditions = append(p.Status.Conditions, api.Condition{Type: "DisruptionTarget", Status: "True", Reason: "PreemptionByScheduler"})
	})
}

// DeletePod deletes a job's pod, as people do, which is a failure of the job.
func (s *Server) DeletePod(job string) bool { return s.stop(job, s.terminating) }

// terminating notes that a pod is being deleted. The caller holds mu.
func (s *Server) terminating(p *pod) {
	end := time.Now().Add(2 * time.Minute).UTC()
	p.deleted, p.Metadata.DeletionTimestamp = true, &end
}

// Expire ends a job's pod at its time limit.
func (s *Server) Expire(job string) bool {
	return s.stop(job, func(p *pod) { p.why = "DeadlineExceeded" })
}

// Evict ends a job's pod because its node runs short of something.
func (s *Server) Evict(job string) bool { return s.stop(job, func(p *pod) { p.why = "Evicted" }) }

// Delete deletes a job as kubectl does: it is gone at once, and its pod is told to stop.
func (s *Server) Delete(job string) bool {
	stopped := s.stop(job, s.terminating)
	s.mu.Lock()
	defer s.mu.Unlock()
	if j := s.jobs[job]; j != nil {
		delete(s.jobs, job)
		s.note("jobs", "DELETED", j, &j.Metadata)
	}
	return stopped
}

// over notes that a pod has ended, and what that means for its job. The caller holds mu.
func (s *Server) over(p *pod, t api.Terminated) {
	p.Status.Phase, p.Status.Reason = "Failed", p.why
	how := api.Condition{Type: "Failed", Status: "True", Reason: "BackoffLimitExceeded", Message: "Job has reached the specified backoff limit"}
	if t.ExitCode == 0 {
		p.Status.Phase, t.Reason = "Succeeded", "Completed"
		how = api.Condition{Type: "Complete", Status: "True"}
	}
	p.Status.ContainerStatuses = []api.ContainerStatus{{Name: "runner", State: api.ContainerState{Terminated: &t}}}
	s.note("pods", "MODIFIED", &p.Pod, &p.Metadata)
	if p.deleted {
		delete(s.pods, p.Metadata.Name)
		s.note("pods", "DELETED", &p.Pod, &p.Metadata)
	}
	job := s.jobs[p.Metadata.Labels["eyrie/job"]]
	if job == nil {
		return
	}
	if job.Metadata.DeletionTimestamp != nil {
		s.drop(job.Metadata.Name)
		return
	}
	if _, ok := api.Find(p.Status.Conditions, "DisruptionTarget", "True"); ok && job.Spec.PodFailurePolicy != nil {
		s.newPod(job)
		return
	}
	before := api.Condition{Type: "FailureTarget", Status: "True", Reason: how.Reason, Message: how.Message}
	if how.Type == "Complete" {
		before.Type = "SuccessCriteriaMet"
	}
	for _, c := range []api.Condition{before, how} { // one after the other
		job.Status.Conditions = append(job.Status.Conditions, c)
		s.note("jobs", "MODIFIED", job, &job.Metadata)
	}
}

// drop removes a job with its pods. The caller holds mu.
func (s *Server) drop(name string) {
	for id, p := range s.pods {
		if p.Metadata.Labels["eyrie/job"] == name {
			delete(s.pods, id)
			if p.process != nil {
				_ = syscall.Kill(-p.process.Process.Pid, syscall.SIGKILL)
			}
			s.note("pods", "DELETED", &p.Pod, &p.Metadata)
		}
	}
	if job := s.jobs[name]; job != nil {
		delete(s.jobs, name)
		s.note("jobs", "DELETED", job, &job.Metadata)
	}
}

func (s *Server) get(w http.ResponseWriter, name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if job := s.jobs[name]; job != nil {
		answer(w, 200, job)
		return
	}
	fail(w, 404, "NotFound", fmt.Sprintf("jobs.batch %q not found", name))
}

// delete deletes a job in the foreground: it is there until its pod, which is told to stop, is gone.
func (s *Server) delete(w http.ResponseWriter, r *http.Request, name string) {
	var opt struct {
		PropagationPolicy string `json:"propagationPolicy"`
	}
	_ = json.NewDecoder(r.Body).Decode(&opt)
	s.mu.Lock()
	defer s.mu.Unlock()
	job := s.jobs[name]
	if job == nil {
		fail(w, 404, "NotFound", fmt.Sprintf("jobs.batch %q not found", name))
		return
	}
	if opt.PropagationPolicy != "Foreground" {
		s.t.Errorf("job %s is deleted with policy %q: it is gone before its pod is", name, opt.PropagationPolicy)
	}
	running := false
	for _, p := range s.pods {
		if p.Metadata.Labels["eyrie/job"] == name && p.process != nil {
			running = true
			_ = p.process.Process.Signal(syscall.SIGTERM)
		}
	}
	now := time.Now()
	job.Metadata.DeletionTimestamp = &now
	s.note("jobs", "MODIFIED", job, &job.Metadata)
	answer(w, 200, job)
	if !running { // the garbage collector comes to it in a while
		s.wait.Go(func() {
			time.Sleep(lag)
			s.mu.Lock()
			defer s.mu.Unlock()
			s.drop(name)
		})
	}
}

// lag is how long the garbage collector takes.
const lag = 100 * time.Millisecond

// chosen reports whether labels are as a selector has them: one name and value.
func chosen(selector string, labels map[string]string) bool {
	name, value, _ := strings.Cut(selector, "=")
	return selector == "" || labels[name] == value
}

func (s *Server) list(w http.ResponseWriter, r *http.Request, kind string) {
	selector := r.URL.Query().Get("labelSelector")
	s.mu.Lock()
	defer s.mu.Unlock()
	items := []any{}
	switch kind {
	case "jobs":
		for _, j := range s.jobs {
			if chosen(selector, j.Metadata.Labels) {
				items = append(items, j)
			}
		}
	case "pods":
		for _, p := range s.pods {
			if chosen(selector, p.Metadata.Labels) {
				items = append(items, &p.Pod)
			}
		}
	case "events":
		for _, e := range s.events {
			items = append(items, e)
		}
	}
	answer(w, 200, map[string]any{"metadata": map[string]string{"resourceVersion": strconv.Itoa(s.version)}, "items": items})
}

func (s *Server) watch(w http.ResponseWriter, r *http.Request, kind string) {
	selector := r.URL.Query().Get("labelSelector")
	version, _ := strconv.Atoi(r.URL.Query().Get("resourceVersion"))
	w.Header().Set("Content-Type", "application/json")
	w.(http.Flusher).Flush()
	s.mu.Lock()
	cut, ending := s.cut, s.ending
	s.mu.Unlock()
	if ending { // a client that watches again at once would keep the server from ending
		return
	}
	for {
		s.mu.Lock()
		if version < s.oldest {
			s.mu.Unlock()
			_ = json.NewEncoder(w).Encode(map[string]any{"type": "ERROR", "object": api.Status{Kind: "Status", Code: 410, Reason: "Expired", Message: "too old resource version"}})
			return
		}
		for _, c := range s.history {
			if c.version > version && c.kind == kind && chosen(selector, c.labels) {
				_ = json.NewEncoder(w).Encode(map[string]any{"type": c.what, "object": json.RawMessage(c.object)})
			}
		}
		version = s.version
		changed := s.changed
		s.mu.Unlock()
		w.(http.Flusher).Flush()
		select {
		case <-changed:
		case <-cut:
			return
		case <-r.Context().Done():
			return
		}
	}
}

func (s *Server) log(w http.ResponseWriter, name string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	p := s.pods[name]
	if p == nil || p.process != nil {
		fail(w, 404, "NotFound", "no such pod, or it is running")
		return
	}
	_, _ = w.Write(p.log.Bytes())
}
