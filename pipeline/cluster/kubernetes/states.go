package kubernetes

import (
	"context"
	"fmt"
	"net/url"
	"strings"
	"time"

	"eyrie/pipeline/cluster"
	"eyrie/pipeline/cluster/kubernetes/api"
)

// cancelled is the code of a job that somebody deletes.
const cancelled = "CANCELLED"

// status returns how a job is, of which pod is the last pod; nil for none.
func status(job *api.Job, pod *api.Pod, now time.Time) cluster.Status {
	switch c := over(job); {
	case job.Metadata.DeletionTimestamp != nil:
		return cluster.Status{State: cluster.Running, Code: cancelled, Reason: "it is being deleted"}
	case c != nil:
		return cluster.Status{State: cluster.Ended, Code: c.Type, Reason: c.Reason}
	case pod == nil && job.Spec.Suspend:
		return cluster.Status{State: cluster.Pending, Code: "Suspended", Reason: "it is suspended, as its queue wants it"}
	case pod == nil:
		return cluster.Status{State: cluster.Pending, Code: "Pending", Reason: "it has no pod yet"}
	}
	return podStatus(pod, now)
}

// over returns the condition by which a job has ended; nil where it has not.
func over(job *api.Job) *api.Condition {
	for _, of := range []string{"Complete", "Failed"} {
		if c, ok := api.Find(job.Status.Conditions, of, "True"); ok {
			return &c
		}
	}
	return nil
}

// hopeless are reasons, of a container that waits, for which it will never begin, and unlikely
// those for which it will not unless somebody does something; each with what to do.
var hopeless = map[string]string{
	"InvalidImageName":  "image is not a name that an image can have",
	"ErrImageNeverPull": "the image is not on the node, which may not fetch it",
}

var unlikely = map[string]string{
	"ErrImagePull":               "check image in the site file, and that the nodes may fetch it (imagePullSecrets of the service account)",
	"ImagePullBackOff":           "check image in the site file, and that the nodes may fetch it (imagePullSecrets of the service account)",
	"CreateContainerConfigError": "check env_from in the site file: is there each Secret in the namespace?",
	"CreateContainerError":       "check image and runner in the site file",
	"RunContainerError":          "check image and runner in the site file",
}

// hope is how long a pod waits for what is unlikely.
const hope = 10 * time.Minute

// overdue is how long after its grace a pod is gone, where its node does what it is told.
const overdue = time.Minute

// podStatus returns how a job is that is not over, by its pod.
func podStatus(pod *api.Pod, now time.Time) cluster.Status {
	s := cluster.Status{State: cluster.Pending, Code: pod.Status.Phase, Reason: pod.Status.Reason, Node: pod.Spec.NodeName}
	if end := pod.Metadata.DeletionTimestamp; end != nil && now.Sub(*end) > overdue { // its grace is part of end
		s.Soon, s.Reason = true, firstOf(pod.Status.Reason, "its pod was told to stop, and has not")
		s.Stuck = fmt.Sprintf("its node %s does not answer, and the job begins again when its pod is gone: kubectl delete pod %s --force if the node is lost", pod.Spec.NodeName, pod.Metadata.Name)
		return s
	}
	switch pod.Status.Phase {
	case "Running", "Succeeded": // the job's word counts
		s.State = cluster.Running
	case "Failed":
		s.Reason = firstOf(pod.Status.Reason, "its pod has failed")
	default:
		waits(pod, &s, now)
	}
	return s
}

// waits says why a pod waits.
func waits(pod *api.Pod, s *cluster.Status, now time.Time) {
	if c, ok := api.Find(pod.Status.Conditions, "PodScheduled", "False"); ok {
		s.Reason = firstOf(c.Message, c.Reason)
		s.Stuck = "no node has what it asks for; it begins when one has (resources of the step, and node_selector, tolerations and gpu_resource in the site file)"
	}
	for _, c := range pod.Status.ContainerStatuses {
		w := c.State.Waiting
		if w == nil {
			continue
		}
		s.Reason = strings.TrimSpace(w.Reason + ": " + brief(w.Message))
		if advice, ok := hopeless[w.Reason]; ok {
			s.State, s.Never, s.Stuck = cluster.Ended, true, advice
		} else if advice, ok := unlikely[w.Reason]; ok {
			s.Stuck, s.Soon = advice, true
			if began := pod.Status.StartTime; began != nil && now.Sub(*began) > hope {
				s.State, s.Never = cluster.Ended, true
			}
		}
	}
}

func firstOf(all ...string) string {
	for _, s := range all {
		if s != "" {
			return s
		}
	}
	return ""
}

// Explain does what [cluster.Scheduler] says.
func (s *Scheduler) Explain(ctx context.Context, id string, last cluster.Status) cluster.Ending {
	if last.Never { // it would wait on
		_ = s.Cancel(ctx, []string{id})
		return cluster.Ending{Err: fmt.Errorf("%s %s cannot begin: %s; %s", jobName, id, last.Reason, last.Stuck)}
	}
	c, err := s.connect()
	if err != nil {
		return cluster.Ending{Err: err}
	}
	var job api.Job
	if err := c.do(ctx, "GET", c.client.jobs()+"/"+id, nil, &job); err != nil {
		return gone(id, last, err)
	}
	pod := c.lastPod(ctx, id)
	ending := ending(id, over(&job), pod)
	if pod != nil {
		ending.Err = fmt.Errorf("%w%s", ending.Err, c.logEnd(ctx, pod))
	}
	return ending
}

// gone says what it means that there is no such job.
func gone(id string, last cluster.Status, err error) cluster.Ending {
	switch {
	case code(err) != 404:
		return cluster.Ending{Err: fmt.Errorf("%s %s has ended without a word, and cannot be asked for: %w", jobName, id, err)}
	case last.State == cluster.Ended:
		return cluster.Ending{Err: fmt.Errorf("%s %s has ended without a result", jobName, id)}
	}
	return cluster.Ending{Err: fmt.Errorf("%s %s was deleted by somebody: run again to go on", jobName, id), Told: true}
}

// lastPod returns the pod of a job that was made last; nil for none.
func (c *connection) lastPod(ctx context.Context, id string) (last *api.Pod) {
	var l api.List[api.Pod]
	query := url.Values{"labelSelector": {jobLabel + "=" + id}}
	if c.do(ctx, "GET", c.client.pods()+"?"+query.Encode(), nil, &l) != nil {
		return nil
	}
	for i := range l.Items {
		if last == nil || later(l.Items[i].Metadata, last.Metadata) {
			last = &l.Items[i]
		}
	}
	return last
}

// logEnd returns the end of a pod's log, to be added to an error: what the runner says that could
// not even reach the cache.
func (c *connection) logEnd(ctx context.Context, pod *api.Pod) string {
	var text string
	if c.do(ctx, "GET", c.client.pods()+"/"+pod.Metadata.Name+"/log?tailLines=10", nil, &text) != nil || strings.TrimSpace(text) == "" {
		return ""
	}
	return "; the end of its pod's log:\n  " + strings.ReplaceAll(strings.TrimSpace(text), "\n", "\n  ")
}

// ending says how a job ended that did not say so itself. how is the job's own condition, nil where
// it has none.
func ending(id string, how *api.Condition, pod *api.Pod) cluster.Ending {
	fail := func(format string, args ...any) cluster.Ending {
		return cluster.Ending{Err: fmt.Errorf(jobName+" "+id+" "+format, args...)}
	}
	lost := func(format string, args ...any) cluster.Ending {
		e := fail(format, args...)
		e.Lost = true
		return e
	}
	told := func(e cluster.Ending) cluster.Ending {
		e.Told = true
		return e
	}
	if pod == nil {
		switch {
		case how != nil && how.Type == "Failed" && how.Reason == "BackoffLimitExceeded": // what fails by itself stays, to be looked at
			return lost("has lost its pod, which somebody has deleted")
		case how != nil && how.Type == "Failed":
			return fail("failed: %s", firstOf(how.Message, how.Reason))
		case how != nil:
			return fail("has ended without a result")
		}
		return lost("has lost its pod")
	}
	at := ""
	if pod.Spec.NodeName != "" {
		at = " on " + pod.Spec.NodeName
	}
	if pod.Status.Reason == "DeadlineExceeded" || how != nil && how.Reason == "DeadlineExceeded" {
		return told(fail("was ended at its time limit: give it more time (time in the site file, or the step's timeout)"))
	}
	var t api.Terminated
	for _, c := range pod.Status.ContainerStatuses {
		if c.State.Terminated != nil {
			t = *c.State.Terminated
		}
	}
	if t.Reason == "OOMKilled" {
		return fail("ran out of memory%s: ask for more in resources { memory = … }", at)
	}
	if d, ok := api.Find(pod.Status.Conditions, disrupted, "True"); ok {
		return told(lost("was disrupted%s (%s: %s)", at, d.Reason, d.Message))
	}
	switch pod.Status.Reason {
	case "Evicted":
		return told(lost("was evicted%s: %s", at, pod.Status.Message))
	case "NodeLost", "NodeShutdown", "Terminated", "Shutdown", "NodeAffinity":
		return told(lost("was lost with its node%s: %s", at, firstOf(pod.Status.Message, pod.Status.Reason)))
	case "Preempting":
		return told(lost("was preempted%s", at))
	}
	switch {
	case t.Reason == "ContainerCannotRun", t.Reason == "StartError", t.ExitCode == 127, t.ExitCode == 126:
		return fail("could not run its program%s: %s; does the image have the runner of the site file?", at, firstOf(t.Message, "there is none"))
	case t.ExitCode == 137:
		return fail("was killed%s, as a system does that runs out of memory: ask for more in resources { memory = … }", at)
	case t.ExitCode == cluster.ExitStopped:
		return lost("was told to stop%s", at)
	case t.ExitCode == 0 && pod.Status.Phase != "Succeeded":
		return lost("has lost its pod%s: %s", at, firstOf(pod.Status.Message, pod.Status.Reason, "nobody knows why"))
	case t.ExitCode == 0:
		return fail("has ended without a result")
	}
	return fail("ended without a result (exit status %d)", t.ExitCode)
}
