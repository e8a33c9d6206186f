package sandbox_test

import (
	"os/exec"
	"testing"

	"github.com/tollgate/tollgate/internal/toolchain"
)

// TestStory plays what `bot demo --script --crash` plays, as a person would start it. The story without the
// crash has the same steps but one.
//
// Covers: R05
func TestStory(t *testing.T) {
	t.Parallel()
	parts(t, toolchain.Terraform, toolchain.Git, toolchain.Moto, toolchain.Providers)
	bot, err := program()
	if err != nil {
		t.Fatal(err)
	}
	out, err := exec.CommandContext(t.Context(), bot, "demo", "--script", "--crash").CombinedOutput()
	if err != nil {
		t.Fatalf("bot demo: %v\n%s", err, out)
	}
	t.Logf("%s", out)
}
