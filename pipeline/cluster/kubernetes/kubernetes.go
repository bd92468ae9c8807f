// Package kubernetes has jobs of Kubernetes perform steps: a Job for each, of one pod, with the
// cache that a team shares as its store.
//
// A Job's name follows from its batch and number, so that to create it a second time, after an
// answer that was lost, finds it. Kubernetes has it begin again where its pod was disrupted; whether
// it is done is for the results to say, and what Kubernetes says explains the rest.
package kubernetes

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"eyrie/artifacts/tree"
	"eyrie/pipeline/cluster"
	"eyrie/pipeline/cluster/kubernetes/api"
)

// Config is what a site wants of its jobs.
type Config struct {
	Context, Namespace string // of the kubeconfig; "" for its own
	Image, Runner      string // the program, in the image
	Queue              string // of Kueue
	ServiceAccount     string
	NodeSelector       map[string]string
	Tolerations        []string // keys of taints
	EnvFrom            []string // Secrets
	GPUResource        string
	User               int           // that the pods run as, within the standard "restricted"; 0 for the image's
	Scratch            string        // the directory, in the pods, for what a job has there; "" for /tmp
	Owner              string        // a label that tells one runner's jobs from another's
	Pause              time.Duration // before a request is made again; 0 for half a second
}

// Scheduler is a cluster of Kubernetes.
type Scheduler struct {
	config  Config
	connect func() (*connection, error)
}

// connection is a client, with what is known by it.
type connection struct {
	*client
	jobs watch[api.Job]
	pods watch[api.Pod]
}

// New returns a scheduler. It reads no kubeconfig until it is used.
func New(c Config) *Scheduler {
	return &Scheduler{config: c, connect: sync.OnceValues(func() (*connection, error) {
		client, err := connect(c.Context, c.Namespace)
		if err != nil {
			return nil, err
		}
		if c.Pause > 0 {
			client.pause = c.Pause
		}
		own := ownerLabel + "=" + c.Owner
		return &connection{
			client: client,
			jobs:   watch[api.Job]{client: client, path: client.jobs(), selector: own, meta: func(j *api.Job) *api.Meta { return &j.Metadata }},
			pods:   watch[api.Pod]{client: client, path: client.pods(), selector: own, meta: func(p *api.Pod) *api.Meta { return &p.Metadata }},
		}, nil
	})}
}

// Labels of jobs and their pods.
const (
	managedLabel = "app.kubernetes.io/managed-by"
	ownerLabel   = "eyrie/owner"
	batchLabel   = "eyrie/batch"
	jobLabel     = "eyrie/job"
	queueLabel   = "kueue.x-k8s.io/queue-name"
)

// jobName is what people call a job.
const jobName = "Kubernetes job"

// Traits does what [cluster.Scheduler] says.
func (s *Scheduler) Traits() cluster.Traits {
	return cluster.Traits{Name: jobName, Largest: 500}
}

// Submit does what [cluster.Scheduler] says, a few jobs at a time. Where a quota allows for some
// of them, those are taken. Of a batch that can never be made whole nothing is left.
func (s *Scheduler) Submit(ctx context.Context, b *cluster.Batch) ([]string, error) {
	c, err := s.connect()
	if err != nil {
		return nil, err
	}
	ids, err := s.createAll(ctx, c, b)
	switch {
	case err == nil:
		return ids, nil
	case overQuota(err):
		s.makeRoom(ctx, c)
		return ids, s.refused(c, err)
	}
	if err = s.refused(c, err); errors.Is(err, cluster.ErrBusy) { // which of them were made, Find says
		return nil, err
	}
	made := slices.DeleteFunc(ids, func(id string) bool { return id == "" })
	if e := s.Cancel(context.WithoutCancel(ctx), made); e != nil {
		err = fmt.Errorf("%w; jobs of batch %s may be left: %w", err, b.Name, e)
	}
	return nil, err
}

// createAll makes a batch's jobs until the server refuses one, and returns the first error with the
// names of those that were made, "" for the others. Requests that are under way by then come to
// their end, so that it is known what they made.
func (s *Scheduler) createAll(ctx context.Context, c *connection, b *cluster.Batch) (ids []string, err error) {
	ids = make([]string, b.Size)
	var first atomic.Pointer[error]
	err = tree.Each(ctx, b.Size, func(ctx context.Context, i int) error {
		if first.Load() != nil {
			return nil
		}
		if err := c.create(ctx, s.job(b, i)); err != nil {
			first.CompareAndSwap(nil, &err)
		} else {
			ids[i] = name(b, i)
		}
		return ctx.Err()
	})
	if why := first.Load(); why != nil {
		err = *why
	}
	return ids, err
}

// makeRoom deletes our jobs that have succeeded, as a quota counts these, too. Those that failed stay,
// for people to look at.
func (s *Scheduler) makeRoom(ctx context.Context, c *connection) {
	jobs, err := c.jobs.get(ctx)
	if err != nil {
		return
	}
	var done []string
	for id, job := range jobs {
		if how := over(&job); how != nil && how.Type == "Complete" {
			done = append(done, id)
		}
	}
	_ = s.Cancel(ctx, done) // the next refusal tries again
}

// name is that of a batch's job.
func name(b *cluster.Batch, element int) string { return b.Name + "-" + strconv.Itoa(element) }

// overQuota reports whether a job could not be made because the namespace has as many as it may.
func overQuota(err error) bool {
	return code(err) == http.StatusForbidden && strings.Contains(err.Error(), "exceeded quota")
}

// create makes a job, unless it has been made.
func (c *connection) create(ctx context.Context, job *api.Job) error {
	err := c.do(ctx, "POST", c.client.jobs()+"?fieldValidation=Strict", job, nil) // an old server is not to leave out what it does not know
	if code(err) != http.StatusConflict {
		return err
	}
	var there api.Job
	if err := c.do(ctx, "GET", c.client.jobs()+"/"+job.Metadata.Name, nil, &there); err != nil {
		return err
	}
	if there.Metadata.Labels[batchLabel] != job.Metadata.Labels[batchLabel] {
		return fmt.Errorf("there is another job %s", job.Metadata.Name)
	}
	return nil
}

// refused says what to do about a request that failed, or that it may be made again later.
func (s *Scheduler) refused(c *connection, err error) error {
	_, passes := pass(err)
	switch n := code(err); {
	case err == nil:
		return nil
	case passes, overQuota(err):
		return fmt.Errorf("%w: %w", cluster.ErrBusy, err)
	case n == http.StatusForbidden:
		return fmt.Errorf("%w; kubectl -n %s auth can-i create jobs says whether you may (docs/cluster.md has all that is needed)", err, c.namespace)
	case n == http.StatusNotFound:
		return fmt.Errorf("%w; is there a namespace %s?", err, c.namespace)
	case n == http.StatusUnauthorized:
		return fmt.Errorf("%w; the credentials in the kubeconfig are not valid (any more): renew them, and start the run again, which finds its jobs", err)
	}
	return err
}

// Find does what [cluster.Scheduler] says.
func (s *Scheduler) Find(ctx context.Context, b *cluster.Batch) ([]string, error) {
	c, err := s.connect()
	if err != nil {
		return nil, err
	}
	var l api.List[api.Job]
	query := url.Values{"labelSelector": {batchLabel + "=" + b.Name}}
	if err := c.do(ctx, "GET", c.client.jobs()+"?"+query.Encode(), nil, &l); err != nil {
		return nil, s.refused(c, err)
	}
	there := map[string]bool{}
	for _, j := range l.Items {
		there[j.Metadata.Name] = j.Metadata.DeletionTimestamp == nil // else it is on its way out
	}
	ids, some := make([]string, b.Size), false
	for i := range ids {
		if there[name(b, i)] {
			ids[i], some = name(b, i), true
		}
	}
	if !some {
		return nil, nil
	}
	return ids, nil
}

// Status does what [cluster.Scheduler] says, of what the server has told of its own accord.
func (s *Scheduler) Status(ctx context.Context, ids []string) (map[string]cluster.Status, error) {
	c, err := s.connect()
	if err != nil {
		return nil, err
	}
	jobs, err := c.jobs.get(ctx)
	if err == nil {
		err = c.complete(ctx, jobs, ids)
	}
	if err != nil {
		return nil, s.refused(c, err)
	}
	pods, err := c.pods.get(ctx)
	if err != nil {
		return nil, s.refused(c, err)
	}
	last := map[string]api.Pod{} // by job; of several, the one that was made last
	for _, p := range pods {
		job := p.Metadata.Labels[jobLabel]
		if before, ok := last[job]; !ok || later(p.Metadata, before.Metadata) {
			last[job] = p
		}
	}
	all, podless := map[string]cluster.Status{}, false
	for _, id := range ids {
		job, ok := jobs[id]
		if !ok {
			continue
		}
		if pod, ok := last[id]; ok {
			all[id] = status(&job, &pod, time.Now())
			continue
		}
		all[id] = status(&job, nil, time.Now())
		podless = podless || all[id].State == cluster.Pending && !job.Spec.Suspend && older(job.Metadata, 15*time.Second)
	}
	if podless {
		c.explainWaiting(ctx, all)
	}
	return all, nil
}

// complete asks for those of some jobs that the server has not told of. It may be late with that,
// and a job that is taken for gone would be made once more.
func (c *connection) complete(ctx context.Context, jobs map[string]api.Job, ids []string) error {
	ids = slices.DeleteFunc(slices.Clone(ids), func(id string) bool { return jobs[id].Metadata.Name != "" })
	found := make([]api.Job, len(ids))
	err := tree.Each(ctx, len(ids), func(ctx context.Context, i int) error {
		err := c.do(ctx, "GET", c.client.jobs()+"/"+ids[i], nil, &found[i])
		if code(err) == http.StatusNotFound {
			return nil
		}
		return err
	})
	for i, id := range ids {
		if found[i].Metadata.Name == id {
			jobs[id] = found[i]
		}
	}
	return err
}

func later(a, b api.Meta) bool {
	return a.CreationTimestamp != nil && b.CreationTimestamp != nil && a.CreationTimestamp.After(*b.CreationTimestamp)
}

func older(m api.Meta, than time.Duration) bool {
	return m.CreationTimestamp != nil && time.Since(*m.CreationTimestamp) > than
}

// explainWaiting says of jobs without a pod why they have none, such as a quota. Who may not read
// events does without.
func (c *connection) explainWaiting(ctx context.Context, all map[string]cluster.Status) {
	var l api.List[api.Event]
	query := url.Values{"fieldSelector": {"involvedObject.kind=Job,reason=FailedCreate"}, "limit": {"500"}}
	if c.do(ctx, "GET", c.events()+"?"+query.Encode(), nil, &l) != nil {
		return
	}
	for _, e := range l.Items {
		if s, ok := all[e.InvolvedObject.Name]; ok && s.State == cluster.Pending && s.Node == "" {
			s.Reason = e.Message
			s.Stuck = "it waits until that is no longer so"
			if strings.Contains(e.Message, "runAsNonRoot") {
				s.Stuck += "; user = 1000, or another one that is not root, at the executor in the site file makes pods that are within the standard"
			}
			all[e.InvolvedObject.Name] = s
		}
	}
}

// Cancel does what [cluster.Scheduler] says. A job is there until its pod is gone, which has its
// grace to keep a checkpoint.
func (s *Scheduler) Cancel(ctx context.Context, ids []string) error {
	c, err := s.connect()
	if err != nil {
		return err
	}
	err = tree.Each(ctx, len(ids), func(ctx context.Context, i int) error {
		err := c.do(ctx, "DELETE", c.client.jobs()+"/"+ids[i], map[string]string{"kind": "DeleteOptions", "apiVersion": "v1", "propagationPolicy": "Foreground"}, nil)
		if code(err) == http.StatusNotFound {
			return nil
		}
		return err
	})
	return s.refused(c, err)
}

// Check reports whether jobs can be made, and returns the server's version.
func (s *Scheduler) Check(ctx context.Context) (version string, err error) {
	c, err := s.connect()
	if err != nil {
		return "", err
	}
	var v struct {
		GitVersion string `json:"gitVersion"`
	}
	if err := c.do(ctx, "GET", "/version", nil, &v); err != nil {
		return "", s.refused(c, err)
	}
	for _, may := range needed {
		if err := c.may(ctx, may); err != nil {
			return "", err
		}
	}
	if err := s.try(ctx, c); err != nil {
		return "", err
	}
	return "Kubernetes " + v.GitVersion + ", namespace " + c.namespace, nil
}

// try submits a job as a dry run, which shows whether the namespace exists and whether its rules
// allow such a job.
func (s *Scheduler) try(ctx context.Context, c *connection) error {
	b := &cluster.Batch{Name: "eyrie-check-" + strings.ToLower(rand.Text()[:12]), Ask: cluster.Ask{CPUs: 1, Memory: 1 << 30}}
	err := c.do(ctx, "POST", c.client.jobs()+"?fieldValidation=Strict&dryRun=All", s.job(b, 0), nil)
	if overQuota(err) { // jobs wait for that
		return nil
	}
	return s.refused(c, err)
}

// needed is what one must be allowed to do.
var needed = []access{
	{"create", "batch", "jobs"}, {"delete", "batch", "jobs"}, {"get", "batch", "jobs"}, {"list", "batch", "jobs"}, {"watch", "batch", "jobs"},
	{"list", "", "pods"}, {"watch", "", "pods"}, {"get", "", "pods/log"},
}

// access is something that one may do.
type access struct{ verb, group, resource string }

func (c *connection) may(ctx context.Context, a access) error {
	resource, sub, _ := strings.Cut(a.resource, "/")
	review := map[string]any{"apiVersion": "authorization.k8s.io/v1", "kind": "SelfSubjectAccessReview", "spec": map[string]any{
		"resourceAttributes": map[string]string{"namespace": c.namespace, "verb": a.verb, "group": a.group, "resource": resource, "subresource": sub}}}
	var answer struct {
		Status struct {
			Allowed bool `json:"allowed"`
		} `json:"status"`
	}
	if err := c.do(ctx, "POST", "/apis/authorization.k8s.io/v1/selfsubjectaccessreviews", review, &answer); err != nil {
		return err
	}
	if !answer.Status.Allowed {
		return fmt.Errorf("you may not %s %s in namespace %s: ask for a role that lets you", a.verb, a.resource, c.namespace)
	}
	return nil
}
