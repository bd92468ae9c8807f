// Package api is what is needed of the objects of Kubernetes: what a job says that is made here,
// and what is read of jobs and pods. The whole of it, as its own client has it, would be most of
// this program.
package api

import (
	"fmt"
	"time"
)

// Meta is an object's metadata.
type Meta struct {
	Name              string            `json:"name,omitempty"`
	Namespace         string            `json:"namespace,omitempty"`
	UID               string            `json:"uid,omitempty"`
	ResourceVersion   string            `json:"resourceVersion,omitempty"`
	Labels            map[string]string `json:"labels,omitempty"`
	CreationTimestamp *time.Time        `json:"creationTimestamp,omitempty"`
	DeletionTimestamp *time.Time        `json:"deletionTimestamp,omitempty"`
}

// Condition is something that is so of a job or a pod, or not.
type Condition struct {
	Type    string `json:"type"`
	Status  string `json:"status"` // "True", "False" or "Unknown"
	Reason  string `json:"reason,omitempty"`
	Message string `json:"message,omitempty"`
}

// Find returns the condition of a type, if it is there and has the status.
func Find(all []Condition, of, status string) (Condition, bool) {
	for _, c := range all {
		if c.Type == of && c.Status == status {
			return c, true
		}
	}
	return Condition{}, false
}

// Job is a batch/v1 Job.
type Job struct {
	APIVersion string    `json:"apiVersion,omitempty"`
	Kind       string    `json:"kind,omitempty"`
	Metadata   Meta      `json:"metadata"`
	Spec       JobSpec   `json:"spec"`
	Status     JobStatus `json:"status,omitzero"`
}

// JobSpec is what a job is to do.
type JobSpec struct {
	Parallelism             int               `json:"parallelism"`
	Completions             int               `json:"completions"`
	BackoffLimit            int               `json:"backoffLimit"`
	TTLSecondsAfterFinished int               `json:"ttlSecondsAfterFinished"`
	Suspend                 bool              `json:"suspend,omitempty"`
	PodFailurePolicy        *PodFailurePolicy `json:"podFailurePolicy,omitempty"`
	Template                Template          `json:"template"`
}

// PodFailurePolicy says what becomes of a job whose pod has failed.
type PodFailurePolicy struct {
	Rules []FailureRule `json:"rules"`
}

// FailureRule is one for pods of which a condition is so.
type FailureRule struct {
	Action          string         `json:"action"`
	OnPodConditions []PodCondition `json:"onPodConditions"`
}

// PodCondition is what a rule asks for.
type PodCondition struct {
	Type   string `json:"type"`
	Status string `json:"status"`
}

// Template is what a job's pods are.
type Template struct {
	Metadata Meta    `json:"metadata"`
	Spec     PodSpec `json:"spec"`
}

// JobStatus is how a job is.
type JobStatus struct {
	Active     int         `json:"active,omitempty"`
	Conditions []Condition `json:"conditions,omitempty"`
}

// Pod is a v1 Pod.
type Pod struct {
	APIVersion string    `json:"apiVersion,omitempty"`
	Kind       string    `json:"kind,omitempty"`
	Metadata   Meta      `json:"metadata"`
	Spec       PodSpec   `json:"spec"`
	Status     PodStatus `json:"status,omitzero"`
}

// PodSpec is what a pod is to do.
type PodSpec struct {
	RestartPolicy                 string            `json:"restartPolicy"`
	TerminationGracePeriodSeconds int               `json:"terminationGracePeriodSeconds"`
	ActiveDeadlineSeconds         int               `json:"activeDeadlineSeconds,omitempty"`
	ServiceAccountName            string            `json:"serviceAccountName,omitempty"`
	AutomountServiceAccountToken  *bool             `json:"automountServiceAccountToken,omitempty"`
	NodeName                      string            `json:"nodeName,omitempty"`
	NodeSelector                  map[string]string `json:"nodeSelector,omitempty"`
	Tolerations                   []Toleration      `json:"tolerations,omitempty"`
	SecurityContext               *PodSecurity      `json:"securityContext,omitempty"`
	Volumes                       []Volume          `json:"volumes,omitempty"`
	Containers                    []Container       `json:"containers"`
}

// PodSecurity is as whom a pod runs.
type PodSecurity struct {
	RunAsNonRoot   bool    `json:"runAsNonRoot"`
	RunAsUser      int     `json:"runAsUser"`
	SeccompProfile Seccomp `json:"seccompProfile"`
}

// Seccomp is which calls of the system are allowed.
type Seccomp struct {
	Type string `json:"type"`
}

// Volume is a directory that lasts as long as the pod.
type Volume struct {
	Name     string   `json:"name"`
	EmptyDir struct{} `json:"emptyDir"`
}

// Toleration is a taint that does not matter.
type Toleration struct {
	Key      string `json:"key,omitempty"`
	Operator string `json:"operator,omitempty"`
}

// Container is a program in a pod.
type Container struct {
	Name            string    `json:"name"`
	Image           string    `json:"image"`
	Command         []string  `json:"command"`
	Env             []EnvVar  `json:"env,omitempty"`
	EnvFrom         []EnvFrom `json:"envFrom,omitempty"`
	Resources       Resources `json:"resources,omitzero"`
	VolumeMounts    []Mount   `json:"volumeMounts,omitempty"`
	SecurityContext *Security `json:"securityContext,omitempty"`
}

// Mount is where a volume is in a container.
type Mount struct {
	Name      string `json:"name"`
	MountPath string `json:"mountPath"`
}

// Security is what a container may do.
type Security struct {
	AllowPrivilegeEscalation bool         `json:"allowPrivilegeEscalation"`
	Capabilities             Capabilities `json:"capabilities"`
}

// Capabilities are rights of root's.
type Capabilities struct {
	Drop []string `json:"drop"`
}

// EnvVar is a variable.
type EnvVar struct {
	Name  string `json:"name"`
	Value string `json:"value"`
}

// EnvFrom is a Secret whose entries are variables.
type EnvFrom struct {
	SecretRef Reference `json:"secretRef"`
}

// Reference names an object.
type Reference struct {
	Name string `json:"name"`
}

// Resources are what a container asks for, and may have.
type Resources struct {
	Requests map[string]string `json:"requests,omitempty"`
	Limits   map[string]string `json:"limits,omitempty"`
}

// PodStatus is how a pod is.
type PodStatus struct {
	Phase             string            `json:"phase,omitempty"`
	Reason            string            `json:"reason,omitempty"`
	Message           string            `json:"message,omitempty"`
	StartTime         *time.Time        `json:"startTime,omitempty"`
	Conditions        []Condition       `json:"conditions,omitempty"`
	ContainerStatuses []ContainerStatus `json:"containerStatuses,omitempty"`
}

// ContainerStatus is how a container is; one field of State is set.
type ContainerStatus struct {
	Name  string         `json:"name"`
	State ContainerState `json:"state"`
}

// ContainerState is where a container is.
type ContainerState struct {
	Waiting    *Waiting    `json:"waiting,omitempty"`
	Running    *struct{}   `json:"running,omitempty"`
	Terminated *Terminated `json:"terminated,omitempty"`
}

// Waiting is why a container has not begun.
type Waiting struct {
	Reason  string `json:"reason,omitempty"`
	Message string `json:"message,omitempty"`
}

// Terminated is how a container has ended.
type Terminated struct {
	ExitCode int    `json:"exitCode"`
	Signal   int    `json:"signal,omitempty"`
	Reason   string `json:"reason,omitempty"`
	Message  string `json:"message,omitempty"`
}

// Event is something that happened to an object.
type Event struct {
	Metadata       Meta   `json:"metadata"`
	Reason         string `json:"reason"`
	Message        string `json:"message"`
	InvolvedObject struct {
		Kind string `json:"kind"`
		Name string `json:"name"`
	} `json:"involvedObject"`
}

// List is a list of objects.
type List[T any] struct {
	Metadata struct {
		ResourceVersion string `json:"resourceVersion"`
		Continue        string `json:"continue,omitempty"`
	} `json:"metadata"`
	Items []T `json:"items"`
}

// Status is an answer that is no object: an error, for the most part.
type Status struct {
	Kind    string `json:"kind"`
	Code    int    `json:"code"`
	Reason  string `json:"reason,omitempty"`
	Message string `json:"message,omitempty"`
}

// Error says what the server says.
func (s *Status) Error() string {
	if s.Message == "" {
		return fmt.Sprintf("the server answers %d %s", s.Code, s.Reason)
	}
	return s.Message
}
