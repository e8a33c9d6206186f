package terraform

import (
	"fmt"
	"path/filepath"
	"slices"
	"strings"

	"github.com/hashicorp/terraform-exec/tfexec"
)

// gogc lets the garbage of Terraform and of its providers grow to five times the live heap. They
// live for seconds and decode megabytes of schema: a plan takes about a fifth less CPU time, for
// about half as much memory again. Neither 800 nor "off" with a memory limit was faster.
const gogc = "GOGC=400"

// checkEnviron refuses variables that change what a Terraform command means, such as
// TF_CLI_ARGS_plan=-destroy or TF_DATA_DIR.
func checkEnviron(environ []string) error {
	for _, kv := range environ {
		name, _, _ := strings.Cut(kv, "=")
		if strings.HasPrefix(name, "TF_VAR_") {
			continue
		}
		if strings.HasPrefix(name, "TF_") || len(tfexec.ProhibitedEnv(map[string]string{name: ""})) > 0 {
			return fmt.Errorf("environment for terraform must not contain %s", name)
		}
	}
	return nil
}

// environ is the environment of one process. Later entries win over Config.Environ.
func (t *Terraform) environ(m Module, dataDir, cliConfig, scratch string) []string {
	env := slices.Clone(t.cfg.Environ)
	if !slices.ContainsFunc(env, func(kv string) bool { return strings.HasPrefix(kv, "PATH=") }) {
		env = append(env, "PATH=/usr/local/bin:/usr/bin:/bin")
	}
	env = append(env,
		"HOME="+filepath.Join(scratch, "home"),
		"TMPDIR="+filepath.Join(scratch, "tmp"),
		"TF_DATA_DIR="+dataDir,
		"TF_CLI_CONFIG_FILE="+cliConfig,
		"TF_IN_AUTOMATION=1",
		"TF_INPUT=0",
		"CHECKPOINT_DISABLE=1",
		"GIT_TERMINAL_PROMPT=0",
		gogc,
	)
	if m.Workspace != "" {
		env = append(env, "TF_WORKSPACE="+m.Workspace)
	}
	for name, value := range m.Variables {
		env = append(env, "TF_VAR_"+name+"="+value)
	}
	slices.Sort(env[len(env)-len(m.Variables):])
	return append(env, m.Environ...)
}
