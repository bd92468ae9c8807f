package torch

import (
	"fmt"
	"os"
	"os/exec"
	"strconv"

	"eyrie/pipeline/mistake"
)

// slurmNodes is the variable that says on how many machines a job of Slurm's is.
const slurmNodes = "SLURM_JOB_NUM_NODES"

// machines returns on how many machines the process's job of Slurm's is; 1 where it is part of none.
func machines(getenv func(string) string) int {
	n, _ := strconv.Atoi(getenv(slurmNodes)) // it is not set elsewhere
	return max(n, 1)
}

// launcher returns the command that starts the ranks; none where the runner starts them. In a
// job of Slurm's on several machines that is srun, as nothing else reaches the others.
func (o Options) launcher(getenv func(string) string) []string {
	nodes := machines(getenv)
	if len(o.Launch) > 0 || nodes < 2 || o.ranks() < 2 {
		return o.Launch
	}
	nodes = min(nodes, o.ranks())
	launch := []string{ // quiet, as it tells of a session's ordinary end as of an accident
		"srun", "--quiet", "--mpi=none", "--kill-on-bad-exit=1", "--overcommit", "--distribution=block",
		"--nodes=" + strconv.Itoa(nodes), "--ntasks=" + strconv.Itoa(o.ranks()), "--ntasks-per-node=" + strconv.Itoa((o.ranks()+nodes-1)/nodes),
	}
	if n := getenv("SLURM_CPUS_PER_TASK"); n != "" { // which srun does not take from the job by itself
		launch = append(launch, "--cpus-per-task="+n)
	}
	return launch
}

// lookup returns the path of the command that starts the ranks.
func (o Options) lookup(command string) (string, error) {
	path, err := exec.LookPath(command)
	switch {
	case err == nil:
		return path, nil
	case len(o.Launch) == 0:
		return "", fmt.Errorf("the ranks are for %s machines: %w", os.Getenv(slurmNodes), err)
	}
	return "", mistake.At("torch.launch[0]", "there is no command %q on this machine, which is to start the ranks: write its path, or remove launch", command)
}
