package infrastructure_test

import (
	"io/fs"
	"strings"
	"testing"

	"github.com/tollgate/tollgate/infrastructure"
)

func TestFilesHoldAWholeRepository(t *testing.T) {
	t.Parallel()
	for _, name := range []string{
		".terraform.lock.hcl",
		"backend.tf",
		"payments.auto.tfvars",
		"emulator/serve.py",
		"modules/ecs-service/main.tf",
		"modules/ecs-service/tests/ecs-service.tftest.hcl",
		"tests/mocks/aws.tfmock.hcl",
	} {
		if _, err := fs.Stat(infrastructure.Files, name); err != nil {
			t.Errorf("Files: %v", err)
		}
	}
}

func TestFilesHoldNothingThatToolsLeftBehind(t *testing.T) {
	t.Parallel()
	err := fs.WalkDir(infrastructure.Files, ".", func(path string, _ fs.DirEntry, err error) error {
		for _, left := range []string{".terraform/", "__pycache__", ".tfstate", ".tfplan"} {
			if strings.Contains(path+"/", left) {
				t.Errorf("Files holds %s", path)
			}
		}
		return err
	})
	if err != nil {
		t.Fatal(err)
	}
}
