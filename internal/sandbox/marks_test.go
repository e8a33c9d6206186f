package sandbox_test

import (
	"encoding/json"
	"fmt"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/tollgate/tollgate/internal/hclsource"
)

// effects is the number of resources of each apply that leave a mark.
const effects = 3

// marks is what a resource does when it is made: it leaves a mark outside of everything that the product
// writes, with the digest of the plan that it is made by and the name of the project, and takes a moment.
func marks(i int) string {
	return fmt.Sprintf("  provisioner \"local-exec\" {\n    command = \"echo $TEST_PLAN $(basename $PWD)/r%d >>$TEST_MARKS; sleep $TEST_PAUSE\"\n  }\n", i)
}

// marking is a project whose resources follow each other, and are made anew whenever the text is another.
func marking(text string) string {
	var b strings.Builder
	fmt.Fprintf(&b, "variable \"pin\" {\n  default   = %q\n  sensitive = true\n}\n\nresource \"terraform_data\" \"r\" {\n  input = var.pin\n}\n", canary("variable"))
	for i := range effects {
		trigger := strconv.Quote(text)
		if i > 0 {
			trigger = fmt.Sprintf("terraform_data.r%d.id", i-1)
		}
		fmt.Fprintf(&b, "\nresource \"terraform_data\" \"r%d\" {\n  triggers_replace = %s\n%s}\n", i, trigger, marks(i))
	}
	return b.String()
}

// mayMark lets the provisioners run that leave marks.
func mayMark(t testing.TB) []string {
	t.Helper()
	described := hclsource.Describe(hclsource.DocumentRoot{Dir: "."}, hclsource.Tree{FS: fstest.MapFS{"main.tf": {Data: []byte(marking(""))}}}, nil)
	var digests []string
	for _, p := range described.Provisioners {
		digests = append(digests, p.Digest)
	}
	if len(digests) != effects {
		t.Fatalf("%d provisioners, want %d", len(digests), effects)
	}
	parameters, err := json.Marshal(map[string]any{"parameters": map[string]any{"provisioners": digests, "refused_data": []string{}, "files": []string{}}})
	if err != nil {
		t.Fatal(err)
	}
	return organisation(t, map[string]string{"source/execution/parameters.yaml": string(parameters)})
}

// marksOf are the marks that a project's applies have left, in a world that lies in dir.
func marksOf(dir, project string) (out []mark) {
	for line := range strings.Lines(readFile(filepath.Join(dir, "witness", "marks"))) {
		plan, address, _ := strings.Cut(strings.TrimSpace(line), " ")
		if strings.HasPrefix(address, project+"/") {
			out = append(out, mark{plan, address})
		}
	}
	return out
}
