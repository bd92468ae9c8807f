package kubernetes_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"net/http"
	"os"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"eyrie/artifacts/s3/s3test"
	"eyrie/artifacts/store"
	"eyrie/pipeline"
	"eyrie/pipeline/cluster"
	"eyrie/pipeline/cluster/kubernetes"
	"eyrie/pipeline/cluster/kubernetes/api"
	"eyrie/pipeline/cluster/kubernetes/kubetest"
	"eyrie/pipeline/cluster/relay"
	"eyrie/pipeline/cluster/relay/relaytest"
	"eyrie/pipeline/executortest"
)

func TestMain(m *testing.M) { relaytest.Main(m, nil) }

// start starts a server whose pods run this test's binary, with the cache's credentials from a Secret.
func start(t testing.TB) *kubetest.Server {
	s := kubetest.Start(t)
	s.Program = os.Args[0]
	s.Secrets = map[string]map[string]string{"cache": {"AWS_ACCESS_KEY_ID": s3test.Key, "AWS_SECRET_ACCESS_KEY": s3test.Secret}}
	return s
}

func config() kubernetes.Config {
	return kubernetes.Config{Image: "eyrie:1", Runner: "runner", EnvFrom: []string{"cache"}, GPUResource: "example.com/gpu", Owner: "me", Pause: 5 * time.Millisecond}
}

// carriers are by store, each with a bucket of its own.
type carriers struct {
	server *s3test.Server
	mu     sync.Mutex
	all    map[*store.Store]*relay.Carrier
}

func (c *carriers) executor(t *testing.T, s *store.Store, dir string) *cluster.Executor {
	c.mu.Lock()
	defer c.mu.Unlock()
	of := c.all[s]
	if of == nil {
		of = relaytest.NewCarrier(t, c.server, "", s)
		c.all[s] = of
	}
	return &cluster.Executor{
		Name: "test", Store: s, Dir: dir, Scheduler: kubernetes.New(config()), Program: "runner", Poll: 500 * time.Millisecond, Patience: 3 * time.Second,
		Carrier: &relay.Carrier{Store: s, Cache: of.Cache, Bucket: of.Bucket, Caches: of.Caches, Pace: 200 * time.Millisecond},
		Tell:    func(text string) { t.Log(text) },
	}
}

// A job of Kubernetes does what the runner's own goroutine does, also where requests fail, answers
// are lost and connections are cut.
func TestExecutor(t *testing.T) {
	server := start(t)
	var n atomic.Int64
	server.Answer(func(r *http.Request) int {
		switch i := n.Add(1); {
		case i%20 == 0:
			server.CutWatches()
		case i%7 == 0:
			return http.StatusTooManyRequests
		case i%11 == 0:
			return http.StatusInternalServerError
		case i%33 == 1:
			server.Forget()
		}
		return 0
	})
	all := &carriers{server: s3test.Start(t), all: map[*store.Store]*relay.Carrier{}}
	executortest.Run(t, executortest.Subject{Apart: true, OnDisk: true, New: func(t *testing.T, s *store.Store, dir string) pipeline.Executor {
		return all.executor(t, s, dir)
	}})
}

// batch is one of jobs that nobody carries: their pods fail, or are held.
func batch(name string, n int) *cluster.Batch {
	return &cluster.Batch{Name: name, Size: n, Order: "{}", Ask: cluster.Ask{CPUs: 2, GPUs: 1, Memory: 1 << 30, Time: time.Hour}}
}

func submit(t *testing.T, s *kubernetes.Scheduler, b *cluster.Batch) []string {
	t.Helper()
	ids, err := s.Submit(t.Context(), b)
	if err != nil {
		t.Fatal(err)
	}
	return ids
}

// await asks for a job's status until it is as wanted.
func await(t *testing.T, s *kubernetes.Scheduler, id, what string, is func(cluster.Status) bool) cluster.Status {
	t.Helper()
	for end := time.Now().Add(20 * time.Second); ; time.Sleep(10 * time.Millisecond) {
		all, err := s.Status(t.Context(), []string{id})
		if err == nil && is(all[id]) {
			return all[id]
		}
		if time.Now().After(end) {
			t.Fatalf("%s is not %s: %+v, %v", id, what, all[id], err)
		}
	}
}

func state(want cluster.State) func(cluster.Status) bool {
	return func(s cluster.Status) bool { return s.State == want }
}

// What a job is made of is what the site wants: nothing of it is left to a default that kills.
func TestJob(t *testing.T) {
	server := start(t)
	server.Hold = true
	c := config()
	c.Queue, c.ServiceAccount, c.NodeSelector, c.Tolerations = "team", "runner", map[string]string{"gpu": "a100"}, []string{"dedicated"}
	c.User = 1000
	s := kubernetes.New(c)
	ids := submit(t, s, batch("eyrie-x", 2))
	if want := []string{"eyrie-x-0", "eyrie-x-1"}; !slices.Equal(ids, want) {
		t.Fatal(ids)
	}
	await(t, s, ids[1], "suspended", func(s cluster.Status) bool { return s.State == cluster.Pending && s.Code == "Suspended" })
	text, err := json.MarshalIndent(server.Job(ids[1]).Spec, "", " ")
	if err != nil {
		t.Fatal(err)
	}
	for _, want := range []string{`"backoffLimit": 0`, `"ttlSecondsAfterFinished": 3600`, `"suspend": true`, `"action": "Ignore"`, `"activeDeadlineSeconds": 3600`,
		`"terminationGracePeriodSeconds": 120`, `"serviceAccountName": "runner"`, `"gpu": "a100"`, `"key": "dedicated"`, `"example.com/gpu": "1"`, `"cpu": "2"`,
		`"memory": "1342177280"`, `"name": "cache"`, `"automountServiceAccountToken": false`, `"restartPolicy": "Never"`,
		`"runAsNonRoot": true`, `"runAsUser": 1000`, `"type": "RuntimeDefault"`, `"allowPrivilegeEscalation": false`, `"ALL"`, `"emptyDir": {}`, `"mountPath": "/tmp"`} {
		if !strings.Contains(string(text), want) {
			t.Errorf("no %s in\n%s", want, text)
		}
	}
	if job := server.Job(ids[1]); job.Metadata.Labels["kueue.x-k8s.io/queue-name"] != "team" || strings.Contains(string(text), s3test.Secret) {
		t.Errorf("%+v", job)
	}
	server.Begin(ids[1])
	await(t, s, ids[1], "pending for a node", func(s cluster.Status) bool { return s.State == cluster.Pending && s.Code == "Pending" })
}

// An answer that is lost costs nothing: the job is there, and is ours. What is somebody else's is not.
func TestLostAnswer(t *testing.T) {
	server := start(t)
	server.Hold = true
	s := kubernetes.New(config())
	first := submit(t, s, batch("eyrie-x", 3))
	again := submit(t, s, batch("eyrie-x", 3))
	if !slices.Equal(first, again) || len(server.Jobs()) != 3 {
		t.Errorf("%v, %v: %v", first, again, server.Jobs())
	}
	if found, err := s.Find(t.Context(), batch("eyrie-x", 3)); err != nil || !slices.Equal(found, first) {
		t.Errorf("found %v, %v", found, err)
	}
	if found, err := s.Find(t.Context(), batch("eyrie-y", 3)); err != nil || found != nil {
		t.Errorf("found %v, %v", found, err)
	}
	server.SetJob(first[1], func(j *api.Job) { j.Metadata.Labels = map[string]string{"eyrie/batch": "eyrie-z"} })
	if ids, err := s.Submit(t.Context(), batch("eyrie-x", 3)); err == nil || !strings.Contains(err.Error(), "another job eyrie-x-1") {
		t.Errorf("%v, %v", ids, err)
	}
}

// Errors of a server that pass are tried again, and then wait; others end at once, with what to check.
func TestRefusals(t *testing.T) {
	server := start(t)
	server.Hold = true
	s := kubernetes.New(config())
	var status atomic.Int64
	server.Answer(func(r *http.Request) int {
		if r.Method == "POST" {
			return int(status.Load())
		}
		return 0
	})
	for code, want := range map[int]string{403: "auth can-i create jobs", 404: "is there a namespace lab?", 401: "credentials", 422: "not itself"} {
		status.Store(int64(code))
		posts := server.Calls("POST jobs")
		if _, err := s.Submit(t.Context(), batch("eyrie-x", 1)); err == nil || errors.Is(err, cluster.ErrBusy) || !strings.Contains(err.Error(), want) || server.Calls("POST jobs") != posts+1 {
			t.Errorf("%d: %v", code, err)
		}
	}
	for _, code := range []int{429, 500, 503} {
		status.Store(int64(code))
		posts := server.Calls("POST jobs")
		if _, err := s.Submit(t.Context(), batch("eyrie-x", 1)); !errors.Is(err, cluster.ErrBusy) || server.Calls("POST jobs") != posts+5 {
			t.Errorf("%d: %v", code, err)
		}
	}
}

// Of a batch for which a quota has no room, what it has room for is taken, and the rest is handed in
// when there is more. Nothing that was taken is taken for gone.
func TestQuota(t *testing.T) {
	server := start(t)
	server.Hold, server.Quota = true, 3
	s := kubernetes.New(config())
	ids, err := s.Submit(t.Context(), batch("eyrie-x", 5))
	taken := slices.DeleteFunc(slices.Clone(ids), func(id string) bool { return id == "" })
	if !errors.Is(err, cluster.ErrBusy) || !strings.Contains(err.Error(), "exceeded quota: q") || len(ids) != 5 || len(taken) != 3 || !slices.Equal(taken, server.Jobs()) {
		t.Errorf("%q, %v; there are %q", ids, err, server.Jobs())
	}
	found, err := s.Find(t.Context(), batch("eyrie-x", 5))
	if !slices.Equal(found, ids) || err != nil {
		t.Errorf("found %q, want %q: %v", found, ids, err)
	}
	if err := s.Cancel(t.Context(), taken); err != nil {
		t.Fatal(err)
	}
	if found, err := s.Find(t.Context(), batch("eyrie-x", 5)); len(found) > 0 || err != nil {
		t.Errorf("found %q, which are being deleted: %v", found, err)
	}
	if _, err := s.Check(t.Context()); err != nil {
		t.Error(err)
	}
}

// Steps of which a quota has room for two make their way through it: what has succeeded makes room.
func TestRunUnderQuota(t *testing.T) {
	server := start(t)
	server.Quota = 2
	x, s := executor(t)
	var wait sync.WaitGroup
	for _, stage := range []string{"chatty", "print", "ask"} {
		job := relaytest.Job(t, s, stage)
		wait.Go(func() {
			if _, err := x.Perform(t.Context(), job, func(pipeline.Event) {}); err != nil {
				t.Errorf("%s: %v", stage, err)
			}
		})
	}
	wait.Wait()
	if n := server.Calls("POST jobs"); n < 4 {
		t.Errorf("%d jobs were asked for, and none refused", n)
	}
}

// executor returns one whose jobs are carried by a bucket, and its store.
func executor(t *testing.T) (*cluster.Executor, *store.Store) {
	t.Helper()
	dir := t.TempDir()
	s, err := store.Open(dir)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	all := &carriers{server: s3test.Start(t), all: map[*store.Store]*relay.Carrier{}}
	return all.executor(t, s, dir), s
}

// What becomes of a job that was told to stop is for what told it: a pod that was taken away begins
// again from its checkpoint, by Kubernetes or by a new job, and a job that somebody has deleted or
// that has had its time does not.
func TestToldToStop(t *testing.T) {
	server := start(t)
	for _, test := range []struct {
		name string
		stop func(job string) bool
		jobs int
		says string // an error, or a warning
		fail bool
	}{
		{"preempted", server.Preempt, 1, "it was told to stop", false},
		{"pod deleted", server.DeletePod, 2, "told to stop: it is handed in again", false},
		{"evicted", server.Evict, 2, "was evicted on node-1", false},
		{"over its time", server.Expire, 1, "was ended at its time limit: give it more time", true},
		{"job deleted", server.Delete, 1, "was deleted by somebody", true},
	} {
		t.Run(test.name, func(t *testing.T) {
			x, s := executor(t)
			job := relaytest.Job(t, s, "resume")
			job.Grace = time.Second
			before := server.Calls("POST jobs")
			said, resumed, stopped := "", false, false
			_, err := x.Perform(t.Context(), job, func(e pipeline.Event) {
				said += string(e.Log)
				resumed = resumed || e.Resumed
				if e.Type == pipeline.StepProgress && !stopped {
					for _, id := range server.Jobs() {
						stopped = test.stop(id) || stopped
					}
				}
			})
			if err != nil {
				said += err.Error()
			}
			if (err != nil) != test.fail || resumed == test.fail || !strings.Contains(said, test.says) || server.Calls("POST jobs")-before != test.jobs {
				t.Errorf("%d jobs, resumed %v: %v\n%s", server.Calls("POST jobs")-before, resumed, err, said)
			}
		})
	}
}

// A job of which the server has not told is asked for before it is taken for gone. Where the server
// is away, that is no answer, and whoever asks waits.
func TestLateWatch(t *testing.T) {
	server := start(t)
	server.Hold = true
	s := kubernetes.New(config())
	first := submit(t, s, batch("eyrie-x", 1))[0]
	await(t, s, first, "pending", state(cluster.Pending))
	var away atomic.Bool
	server.Answer(func(r *http.Request) int {
		if away.Load() || r.URL.Query().Get("watch") != "" {
			return 503
		}
		return 0
	})
	server.CutWatches()
	second := submit(t, s, batch("eyrie-y", 1))[0]
	if all, err := s.Status(t.Context(), []string{first, second}); err != nil || all[second].State != cluster.Pending {
		t.Errorf("%+v, %v", all, err)
	}
	away.Store(true)
	for name, ask := range map[string]func() error{
		"status": func() error { _, err := s.Status(t.Context(), []string{"eyrie-z-0"}); return err },
		"find":   func() error { _, err := s.Find(t.Context(), batch("eyrie-x", 1)); return err },
		"cancel": func() error { return s.Cancel(t.Context(), []string{first}) },
	} {
		if err := ask(); !errors.Is(err, cluster.ErrBusy) {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// Of a batch that cannot be made whole, nothing is left.
func TestHalfABatch(t *testing.T) {
	server := start(t)
	server.Hold = true
	var posts atomic.Int64
	server.Answer(func(r *http.Request) int {
		if r.Method == "POST" && posts.Add(1) > 3 {
			return 403
		}
		return 0
	})
	ids, err := kubernetes.New(config()).Submit(t.Context(), batch("eyrie-x", 5))
	if err == nil || errors.Is(err, cluster.ErrBusy) || strings.Contains(err.Error(), "may be left") {
		t.Errorf("%v, %v", ids, err)
	}
	if left := remaining(server); len(left) > 0 {
		t.Errorf("left are %v", left)
	}
}

// remaining are the jobs that nobody has deleted.
func remaining(server *kubetest.Server) []string {
	return slices.DeleteFunc(server.Jobs(), func(id string) bool { return server.Job(id).Metadata.DeletionTimestamp != nil })
}

// Changes are told over cut connections, without a list for each; where the server has forgotten
// what was, things are listed once more, and what has gone meanwhile is known to be gone.
func TestWatch(t *testing.T) {
	server := start(t)
	server.Hold = true
	s := kubernetes.New(config())
	ids := submit(t, s, batch("eyrie-x", 2))
	await(t, s, ids[0], "pending", state(cluster.Pending))
	for range 20 {
		server.CutWatches()
	}
	running := func(p *api.Pod) { p.Status.Phase = "Running" }
	server.SetPod(ids[0], running)
	await(t, s, ids[0], "running", state(cluster.Running))
	if n := server.Calls("LIST jobs") + server.Calls("LIST pods"); n != 2 {
		t.Errorf("%d lists, want one of jobs and one of pods", n)
	}
	server.Answer(func(r *http.Request) int { // while the server is away, much happens
		if r.URL.Query().Get("watch") != "" {
			return 503
		}
		return 0
	})
	server.CutWatches()
	server.Remove(ids[0])
	server.SetPod(ids[1], running)
	server.Forget()
	server.Answer(nil)
	await(t, s, ids[0], "forgotten", state(cluster.Unknown))
	await(t, s, ids[1], "running", state(cluster.Running))
}

// What a pod waits for is said: a place, a quota, an image.
func TestWaiting(t *testing.T) {
	server := start(t)
	server.Hold = true
	s := kubernetes.New(config())
	waiting := func(reason, message string) func(p *api.Pod) {
		return func(p *api.Pod) {
			p.Status.ContainerStatuses = []api.ContainerStatus{{State: api.ContainerState{Waiting: &api.Waiting{Reason: reason, Message: message}}}}
		}
	}
	long := func(p *api.Pod) {
		began := time.Now().Add(-time.Hour)
		p.Status.StartTime = &began
		waiting("ImagePullBackOff", "no such tag")(p)
	}
	for i, test := range []struct {
		set    func(p *api.Pod)
		state  cluster.State
		soon   bool
		reason string
		advice string
	}{
		{func(p *api.Pod) {
			p.Status.Conditions = []api.Condition{{Type: "PodScheduled", Status: "False", Reason: "Unschedulable", Message: "0/3 nodes are available: 3 Insufficient example.com/gpu."}}
		}, cluster.Pending, false, "3 Insufficient", "begins when one has"},
		{waiting("ContainerCreating", ""), cluster.Pending, false, "ContainerCreating", ""},
		{waiting("ErrImagePull", "denied"), cluster.Pending, true, "ErrImagePull: denied", "check image"},
		{waiting("CreateContainerConfigError", `secret "cache" not found`), cluster.Pending, true, `"cache" not found`, "env_from"},
		{waiting("InvalidImageName", "a b"), cluster.Ended, false, "InvalidImageName", "not a name"},
		{long, cluster.Ended, true, "no such tag", "check image"},
		{func(p *api.Pod) {
			end := time.Now().Add(-2 * time.Minute)
			p.Spec.NodeName, p.Metadata.DeletionTimestamp, p.Status.Phase, p.Status.Reason = "node-1", &end, "Running", "it is silent"
		}, cluster.Pending, true, "it is silent", "its node node-1 does not answer"},
	} {
		id := submit(t, s, batch(fmt.Sprintf("eyrie-%d", i), 1))[0]
		server.SetPod(id, test.set)
		got := await(t, s, id, test.reason, func(s cluster.Status) bool { return strings.Contains(s.Reason, test.reason) })
		if got.State != test.state || got.Soon != test.soon || !strings.Contains(got.Stuck, test.advice) || got.Never != (test.state == cluster.Ended) {
			t.Errorf("%s: %+v", test.reason, got)
		}
		if got.Never {
			if e := s.Explain(t.Context(), id, got); !strings.Contains(e.Err.Error(), test.advice) || e.Lost || slices.Contains(remaining(server), id) {
				t.Errorf("%+v; it is left: %v", e, slices.Contains(remaining(server), id))
			}
		}
	}
	for i, test := range []struct{ reason, advice string }{
		{"exceeded quota: gpus", "until that is no longer so"},
		{`violates PodSecurity "restricted:latest": runAsNonRoot != true`, "user = 1000"},
	} {
		id := submit(t, s, batch(fmt.Sprintf("eyrie-none-%d", i), 1))[0]
		server.Tell(id, "FailedCreate", test.reason)
		server.SetPod(id, func(p *api.Pod) { p.Metadata.Labels = map[string]string{"eyrie/owner": "me"} }) // it is no longer this job's
		server.SetJob(id, func(j *api.Job) { began := time.Now().Add(-time.Minute); j.Metadata.CreationTimestamp = &began })
		await(t, s, id, test.reason, func(s cluster.Status) bool {
			return s.State == cluster.Pending && s.Reason == test.reason && strings.Contains(s.Stuck, test.advice)
		})
	}
}

// How a job has ended is told apart: its own fault, or a node's.
func TestEndings(t *testing.T) {
	server := start(t)
	server.Hold = true
	s := kubernetes.New(config())
	ended := func(t api.Terminated, reason, message string) func(p *api.Pod) {
		return func(p *api.Pod) {
			p.Spec.NodeName, p.Status.Phase, p.Status.Reason, p.Status.Message = "node-1", "Failed", reason, message
			p.Status.ContainerStatuses = []api.ContainerStatus{{State: api.ContainerState{Terminated: &t}}}
		}
	}
	for i, test := range []struct {
		set  func(p *api.Pod)
		want string
		lost bool
	}{
		{ended(api.Terminated{ExitCode: 137, Reason: "OOMKilled"}, "", ""), "ran out of memory on node-1: ask for more", false},
		{ended(api.Terminated{ExitCode: 137, Reason: "Error"}, "", ""), "as a system does that runs out of memory", false},
		{ended(api.Terminated{ExitCode: 143}, "Evicted", "The node was low on resource: memory."), "was evicted on node-1: The node was low", true},
		{ended(api.Terminated{ExitCode: 143}, "DeadlineExceeded", ""), "at its time limit: give it more", false},
		{ended(api.Terminated{}, "NodeLost", ""), "was lost with its node", true},
		{ended(api.Terminated{ExitCode: 143}, "Terminated", "Pod was terminated in response to imminent node shutdown."), "imminent node shutdown", true},
		{ended(api.Terminated{ExitCode: 128, Reason: "StartError", Message: `exec: "runner": not found`}, "", ""), "does the image have the runner", false},
		{ended(api.Terminated{ExitCode: 7, Reason: "Error"}, "", ""), "ended without a result (exit status 7)", false},
	} {
		id := submit(t, s, batch(fmt.Sprintf("eyrie-%d", i), 1))[0]
		server.SetPod(id, test.set)
		server.SetJob(id, func(j *api.Job) {
			j.Status.Conditions = []api.Condition{{Type: "Failed", Status: "True", Reason: "BackoffLimitExceeded"}}
		})
		last := await(t, s, id, "over", state(cluster.Ended))
		if e := s.Explain(t.Context(), id, last); !strings.Contains(e.Err.Error(), test.want) || e.Lost != test.lost {
			t.Errorf("want %q, got %+v", test.want, e)
		}
	}
	id := submit(t, s, batch("eyrie-deleted", 1))[0]
	last := await(t, s, id, "pending", state(cluster.Pending))
	server.Remove(id)
	await(t, s, id, "gone", state(cluster.Unknown))
	if e := s.Explain(t.Context(), id, last); e.Lost || !strings.Contains(e.Err.Error(), "deleted by somebody") {
		t.Errorf("%+v", e)
	}
}

// What a pod prints that could not even reach the cache is in the error.
func TestLog(t *testing.T) {
	server := start(t)
	s := kubernetes.New(config())
	id := submit(t, s, batch("eyrie-x", 1))[0]
	last := await(t, s, id, "over", state(cluster.Ended))
	if e := s.Explain(t.Context(), id, last); !strings.Contains(e.Err.Error(), "the order in EYRIE_ORDER") {
		t.Error(e.Err)
	}
	if version, err := s.Check(t.Context()); err != nil || version != "Kubernetes v1.37.2, namespace lab" || len(server.Jobs()) != 1 {
		t.Error(version, err, server.Jobs())
	}
	server.Answer(func(r *http.Request) int { // as where there is no such namespace
		if r.URL.Query().Get("dryRun") != "" {
			return 404
		}
		return 0
	})
	if _, err := s.Check(t.Context()); err == nil || !strings.Contains(err.Error(), "is there a namespace lab?") {
		t.Error(err)
	}
}
