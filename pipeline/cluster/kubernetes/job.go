package kubernetes

import (
	"cmp"
	"maps"
	"strconv"

	"eyrie/pipeline/cluster"
	"eyrie/pipeline/cluster/kubernetes/api"
)

// How jobs end.
const (
	keptFor = 3600 // s that a job is there which is over, for people to look at
	grace   = 120  // s that a pod has to keep a checkpoint
)

// overhead is what a pod has of memory beside what the step asks for: the runner that carries its
// results.
const overhead = 256 << 20

// job returns the job of a batch's element.
func (s *Scheduler) job(b *cluster.Batch, element int) *api.Job {
	of := name(b, element)
	labels := map[string]string{managedLabel: "eyrie", ownerLabel: s.config.Owner, batchLabel: b.Name, jobLabel: of}
	job := &api.Job{APIVersion: "batch/v1", Kind: "Job", Metadata: api.Meta{Name: of, Labels: maps.Clone(labels)}}
	if s.config.Queue != "" { // Kueue lets it begin
		job.Metadata.Labels[queueLabel] = s.config.Queue
		job.Spec.Suspend = true
	}
	job.Spec.Parallelism, job.Spec.Completions, job.Spec.TTLSecondsAfterFinished = 1, 1, keptFor
	job.Spec.PodFailurePolicy = &api.PodFailurePolicy{Rules: []api.FailureRule{
		{Action: "Ignore", OnPodConditions: []api.PodCondition{{Type: disrupted, Status: "True"}}}, // it begins again
	}}
	job.Spec.Template = api.Template{Metadata: api.Meta{Labels: labels}, Spec: s.pod(b, element)}
	return job
}

// disrupted is the condition of pods that were ended by no fault of theirs.
const disrupted = "DisruptionTarget"

// pod returns what the pod of an element is. Its time limit is the pod's and not the job's, whose
// clock runs while it waits for a node.
func (s *Scheduler) pod(b *cluster.Batch, element int) api.PodSpec {
	no := false // a step has no business with the API server
	spec := api.PodSpec{
		RestartPolicy: "Never", TerminationGracePeriodSeconds: grace, ActiveDeadlineSeconds: int(b.Ask.Time.Seconds()),
		ServiceAccountName: s.config.ServiceAccount, AutomountServiceAccountToken: &no, NodeSelector: s.config.NodeSelector,
	}
	for _, key := range s.config.Tolerations {
		spec.Tolerations = append(spec.Tolerations, api.Toleration{Key: key, Operator: "Exists"})
	}
	c := api.Container{
		Name: "runner", Image: s.config.Image, Command: []string{s.config.Runner, "perform", "--element", strconv.Itoa(element)},
		Env: []api.EnvVar{{Name: cluster.OrderVariable, Value: b.Order}}, Resources: s.resources(b.Ask),
	}
	for _, name := range s.config.EnvFrom {
		c.EnvFrom = append(c.EnvFrom, api.EnvFrom{SecretRef: api.Reference{Name: name}})
	}
	c.VolumeMounts = []api.Mount{{Name: scratch, MountPath: cmp.Or(s.config.Scratch, "/tmp")}}
	spec.Volumes = []api.Volume{{Name: scratch}}
	if s.config.User > 0 {
		spec.SecurityContext = &api.PodSecurity{RunAsNonRoot: true, RunAsUser: s.config.User, SeccompProfile: api.Seccomp{Type: "RuntimeDefault"}}
		c.SecurityContext = &api.Security{Capabilities: api.Capabilities{Drop: []string{"ALL"}}}
	}
	spec.Containers = []api.Container{c}
	return spec
}

// scratch is the volume for what a job has there: an image may have no directory for it, or none
// that its user may write to.
const scratch = "scratch"

func (s *Scheduler) resources(ask cluster.Ask) api.Resources {
	r := api.Resources{Requests: map[string]string{}, Limits: map[string]string{}}
	if ask.CPUs > 0 {
		r.Requests["cpu"] = strconv.Itoa(ask.CPUs)
	}
	if ask.Memory > 0 {
		r.Requests["memory"] = strconv.FormatInt(ask.Memory+overhead, 10)
		r.Limits["memory"] = r.Requests["memory"]
	}
	if ask.GPUs > 0 {
		r.Limits[s.config.GPUResource] = strconv.Itoa(ask.GPUs)
	}
	return r
}
