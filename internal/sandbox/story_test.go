package sandbox_test

import (
	"os/exec"
	"testing"

	"github.com/tollgate/tollgate/internal/toolchain"
)

// TestStory plays what `bot demo --script` plays, as a person would start it.
//
// Covers: R05
func TestStory(t *testing.T) {
	t.Parallel()
	parts(t, toolchain.Terraform, toolchain.Git, toolchain.Moto, toolchain.Providers)
	bot, err := program()
	if err != nil {
		t.Fatal(err)
	}
	for name, args := range map[string][]string{"plain": {"demo", "--script"}, "crash": {"demo", "--script", "--crash"}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			out, err := exec.CommandContext(t.Context(), bot, args...).CombinedOutput()
			if err != nil {
				t.Fatalf("bot %v: %v\n%s", args, err, out)
			}
			t.Logf("%s", out)
		})
	}
}
