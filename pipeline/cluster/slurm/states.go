package slurm

import (
	"cmp"
	"context"
	"fmt"
	"regexp"
	"strings"

	"eyrie/pipeline/cluster"
)

// status returns what a line of squeue says.
func status(code, node, reason string) cluster.Status {
	s := cluster.Status{Code: code, Node: node, Reason: reason}
	switch code {
	case "PENDING", "REQUEUED", "REQUEUE_FED", "REQUEUE_HOLD", "SPECIAL_EXIT", "RESV_DEL_HOLD":
		s.State = cluster.Pending
		s.Stuck = advice(reason)
		if reason == "DependencyNeverSatisfied" {
			s.State, s.Never = cluster.Ended, true // which Slurm has it stay in the queue for a while
		}
	case "RUNNING", "CONFIGURING", "COMPLETING", "SUSPENDED", "STOPPED", "SIGNALING", "STAGE_OUT", "RESIZING":
		s.State = cluster.Running
	default:
		s.State, s.Never = cluster.Ended, code == "CANCELLED" && strings.HasPrefix(reason, "Dependency")
	}
	return s
}

// stuck are reasons, by how they begin, for which a job waits until somebody changes something.
var stuck = []struct{ reason, advice string }{
	{"PartitionConfig", "no node of the partition can give what it asks for; ask for less in resources, or name another partition"},
	{"PartitionNodeLimit", "the partition gives fewer nodes to a job; ask for less in resources.nodes"},
	{"PartitionTimeLimit", "it asks for more time than the partition gives; write a smaller time in the site file, or a timeout for the step"},
	{"PartitionDown", "the partition takes no jobs"},
	{"PartitionInactive", "the partition starts no jobs"},
	{"BadConstraints", "no node has the features in constraint"},
	{"ReqNodeNotAvail", "the nodes that it needs are down or reserved"},
	{"JobHeld", "it is held; scontrol release lets it go"},
	{"JobHoldMaxRequeue", "it was put back into the queue as often as Slurm allows, and is held; scontrol release lets it go"},
	{"job requeued in held state", "it was put back into the queue, and is held; scontrol release lets it go"},
	{"launch failed requeued held", "a node could not start it, and it is held; scontrol release lets it go"},
	{"AccountNotAllowed", "the partition does not take jobs of the account; change account or partition in the site file"},
	{"QOSNotAllowed", "the partition or the account does not allow the QOS; change qos in the site file"},
	{"InvalidAccount", "the account is not valid; change account in the site file"},
	{"InvalidQOS", "the QOS is not valid; change qos in the site file"},
	{"Assoc", "a limit of the account is reached"},
	{"QOS", "a limit of the QOS is reached"},
	{"DependencyNeverSatisfied", "the job that tries a node has failed"},
}

func advice(reason string) string {
	for _, s := range stuck {
		if strings.HasPrefix(reason, s.reason) {
			return s.advice
		}
	}
	return ""
}

// Explain does what [cluster.Scheduler] says. Slurm forgets jobs after MinJobAge, five minutes
// where nobody has set another; sacct remembers, where accounting is kept.
func (s *Scheduler) Explain(ctx context.Context, id string, last cluster.Status) cluster.Ending {
	code, reason, exit := last.Code, last.Reason, ""
	if out, err := run(ctx, nil, "scontrol", "-o", "show", "job", id); err == nil {
		code, reason, exit = field(out, "JobState"), field(out, "Reason"), field(out, "ExitCode")
	} else if out, err := run(ctx, nil, "sacct", "-n", "-P", "-X", "-S", "now-7days", "-j", id, "-o", "State,ExitCode"); err == nil && strings.TrimSpace(out) != "" {
		line, _, _ := strings.Cut(strings.TrimSpace(out), "\n")
		code, exit, _ = strings.Cut(line, "|")
		code, _, _ = strings.Cut(code, " ") // "CANCELLED by 0"
	} else if last.State != cluster.Ended {
		return forgotten(id, last)
	}
	if code != "" && status(code, "", reason).State != cluster.Ended { // it was put back into the queue since, or squeue does not show it
		return cluster.Ending{}
	}
	return ending(id, code, reason, exit)
}

// forgotten says what became of a job that was last seen before its end. One that has run is
// remembered for MinJobAge; of an element that is cancelled while it waits nothing is left.
func forgotten(id string, last cluster.Status) cluster.Ending {
	if last.State == cluster.Pending {
		return cluster.Ending{Err: fmt.Errorf("%s is in the queue no more, and has not started: it was cancelled, and not by this run", "Slurm job "+id)}
	}
	return ending(id, "", "", "")
}

var fields = regexp.MustCompile(`(\w+)=(\S*)`)

// field returns a field of a line of scontrol.
func field(line, name string) string {
	for _, m := range fields.FindAllStringSubmatch(line, -1) {
		if m[1] == name {
			return m[2]
		}
	}
	return ""
}

// ending says what a job's last state means.
func ending(id, code, reason, exit string) cluster.Ending {
	job := "Slurm job " + id
	fail := func(format string, args ...any) cluster.Ending {
		return cluster.Ending{Err: fmt.Errorf(job+" "+format, args...)}
	}
	lost := func(format string, args ...any) cluster.Ending {
		e := fail(format, args...)
		e.Lost = true
		return e
	}
	switch code {
	case "":
		return lost("has vanished, and nobody knows why")
	case "NODE_FAIL":
		return lost("was lost with its node")
	case "BOOT_FAIL":
		return lost("was lost, as its node did not boot")
	case "PREEMPTED":
		return lost("was preempted")
	case "OUT_OF_MEMORY":
		return fail("ran out of memory: ask for more in resources { memory = … }")
	case "TIMEOUT":
		return fail("was killed at its time limit, before it had stopped: give it more time (time in the site file, or the step's timeout); a further run goes on from its last checkpoint, if it kept one")
	case "DEADLINE":
		return fail("missed its deadline")
	case "CANCELLED":
		switch reason {
		case "DependencyNeverSatisfied":
			return fail("was not started, as the job that tries a node has failed")
		case "Dependency": // which it waited for when somebody cancelled it
			return fail("was cancelled before it started, and not by this run")
		}
		return fail("was cancelled")
	case "COMPLETED":
		return fail("has ended without a result")
	}
	if reason == "DependencyNeverSatisfied" {
		return fail("was not started, as the job that tries a node has failed")
	}
	switch n, signal, _ := strings.Cut(exit, ":"); {
	case signal == "0" && n != "":
		return fail("ended without a result (exit status %s)", n)
	case exit == "0:53":
		return fail("could not be started: its node cannot write its log; do the nodes see the store?")
	case exit == "0:9":
		return fail("was killed, as a system does that runs out of memory: ask for more in resources { memory = … }")
	}
	return fail("failed: %s, reason %s, exit code %s", strings.ToLower(code), cmp.Or(reason, "unknown"), cmp.Or(exit, "unknown"))
}
