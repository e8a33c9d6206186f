package artifact_test

import (
	"bytes"
	"crypto/aes"
	"crypto/cipher"
	"encoding/hex"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/tollgate/tollgate/internal/artifact"
	"github.com/tollgate/tollgate/internal/fault"
)

var binding = artifact.Binding{RepoID: 1, Pull: 2, HeadSHA: "abc", Project: "payments", RunID: "r1", Kind: artifact.PlanFile}

var content = bytes.Repeat([]byte("database-password "), 100)

func open(t *testing.T, dir string) *artifact.Store {
	t.Helper()
	s, err := artifact.Open(filepath.Join(dir, "artifacts"), filepath.Join(dir, "key"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { s.Close() })
	return s
}

func put(t *testing.T, s *artifact.Store, b artifact.Binding) artifact.Ref {
	t.Helper()
	r, err := s.Put(t.Context(), b, content)
	if err != nil {
		t.Fatal(err)
	}
	return r
}

func TestRoundTrip(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	ref := put(t, open(t, dir), binding)
	s := open(t, dir) // as after a restart
	got, err := s.Get(t.Context(), binding, ref)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(content, got); diff != "" {
		t.Error(diff)
	}
	for range 2 {
		if err := s.Delete(t.Context(), ref); err != nil {
			t.Error(err)
		}
	}
	mustBeAltered(t, s, binding, ref)
}

// Covers: T54
func TestNothingOnDiskIsReadable(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	ref := put(t, open(t, dir), binding)
	data, err := os.ReadFile(filepath.Join(dir, "artifacts", ref.Key))
	if err != nil {
		t.Fatal(err)
	}
	if bytes.Contains(data, []byte("password")) {
		t.Error("the artifact is in clear")
	}
	for _, name := range []string{"key", "artifacts/" + ref.Key} {
		info, err := os.Stat(filepath.Join(dir, name))
		if err != nil || info.Mode().Perm() != 0o600 {
			t.Errorf("%s: %v, %v", name, info.Mode(), err)
		}
	}
}

func mustBeAltered(t *testing.T, s *artifact.Store, b artifact.Binding, r artifact.Ref) {
	t.Helper()
	got, err := s.Get(t.Context(), b, r)
	var f *fault.Error
	if !errors.Is(err, artifact.ErrAltered) || !errors.As(err, &f) || got != nil {
		t.Errorf("got %d bytes, error %v", len(got), err)
	}
}

// Covers: T30
func TestOtherBindingIsRefused(t *testing.T) {
	t.Parallel()
	s := open(t, t.TempDir())
	ref := put(t, s, binding)
	for name, change := range map[string]func(*artifact.Binding){
		"repository": func(b *artifact.Binding) { b.RepoID++ },
		"pull":       func(b *artifact.Binding) { b.Pull++ },
		"head":       func(b *artifact.Binding) { b.HeadSHA += "0" },
		"project":    func(b *artifact.Binding) { b.Project = "" },
		"run":        func(b *artifact.Binding) { b.RunID = "r2" },
		"kind":       func(b *artifact.Binding) { b.Kind = artifact.PlanJSON },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			other := binding
			change(&other)
			mustBeAltered(t, s, other, ref)
		})
	}
}

// Covers: T30, R37
func TestDamageIsNoticed(t *testing.T) {
	t.Parallel()
	for name, damage := range map[string]func(t *testing.T, file string, data []byte){
		"flipped bit": func(t *testing.T, file string, data []byte) { data[len(data)/2] ^= 1; write(t, file, data) },
		"truncated":   func(t *testing.T, file string, data []byte) { write(t, file, data[:len(data)-1]) },
		"empty":       func(t *testing.T, file string, _ []byte) { write(t, file, nil) },
		"appended":    func(t *testing.T, file string, data []byte) { write(t, file, append(data, 0)) },
		"format":      func(t *testing.T, file string, data []byte) { data[0]++; write(t, file, data) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			s := open(t, dir)
			ref := put(t, s, binding)
			file := filepath.Join(dir, "artifacts", ref.Key)
			data, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			damage(t, file, data)
			mustBeAltered(t, s, binding, ref)
		})
	}
}

func write(t *testing.T, file string, data []byte) {
	t.Helper()
	if err := os.WriteFile(file, data, 0o600); err != nil {
		t.Fatal(err)
	}
}

// Covers: T30
func TestSwappedArtifactsAreNoticed(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := open(t, dir)
	a, b := put(t, s, binding), put(t, s, binding)
	data, err := os.ReadFile(filepath.Join(dir, "artifacts", b.Key))
	if err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(dir, "artifacts", a.Key), data)
	mustBeAltered(t, s, binding, a)
	mustBeAltered(t, s, binding, artifact.Ref{Key: b.Key, SHA256: "sha256:00"})
	mustBeAltered(t, s, binding, artifact.Ref{Key: "../key", SHA256: b.SHA256})
	if _, err := s.Get(t.Context(), binding, b); err != nil {
		t.Errorf("the untouched one: %v", err)
	}
}

func TestKey(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		change func(t *testing.T, dir, key string)
		good   bool
	}{
		"unchanged":  {func(*testing.T, string, string) {}, true},
		"readable":   {func(t *testing.T, _, key string) { chmod(t, key, 0o644) }, false},
		"short":      {func(t *testing.T, _, key string) { write(t, key, []byte("abcd\n")) }, false},
		"lost":       {func(t *testing.T, _, key string) { remove(t, key) }, false},
		"start over": {func(t *testing.T, dir, key string) { remove(t, key); remove(t, filepath.Join(dir, "artifacts")) }, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			put(t, open(t, dir), binding)
			tt.change(t, dir, filepath.Join(dir, "key"))
			s, err := artifact.Open(filepath.Join(dir, "artifacts"), filepath.Join(dir, "key"))
			if (err == nil) != tt.good {
				t.Fatalf("open: %v", err)
			}
			var f *fault.Error
			if err != nil && !errors.As(err, &f) {
				t.Errorf("error says nothing to people: %v", err)
			}
			if err == nil {
				s.Close()
			}
		})
	}
}

func chmod(t *testing.T, file string, mode os.FileMode) {
	t.Helper()
	if err := os.Chmod(file, mode); err != nil {
		t.Fatal(err)
	}
}

func remove(t *testing.T, path string) {
	t.Helper()
	if err := os.RemoveAll(path); err != nil {
		t.Fatal(err)
	}
}

func TestFirstUseByManyAtOnce(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	var mu sync.Mutex
	var refs []artifact.Ref
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() {
			s, err := artifact.Open(filepath.Join(dir, "artifacts"), filepath.Join(dir, "key"))
			if err != nil {
				t.Error(err)
				return
			}
			defer s.Close()
			ref, err := s.Put(t.Context(), binding, content)
			if err != nil {
				t.Error(err)
				return
			}
			mu.Lock()
			defer mu.Unlock()
			refs = append(refs, ref)
		})
	}
	wg.Wait()
	s := open(t, dir)
	for _, r := range refs {
		if _, err := s.Get(t.Context(), binding, r); err != nil {
			t.Error(err)
		}
	}
}

// Covers: T54
func TestWhatIsKeptElsewhereIsBoundAsWell(t *testing.T) {
	t.Parallel()
	s := open(t, t.TempDir())
	sealed, err := s.Seal(binding, content)
	if err != nil {
		t.Fatal(err)
	}
	if got, err := s.Unseal(binding, sealed); err != nil || !bytes.Equal(got, content) {
		t.Fatalf("%d bytes, %v", len(got), err)
	}
	if bytes.Contains(sealed, []byte("password")) {
		t.Error("it is in clear")
	}
	other := binding
	other.Pull++
	if _, err := s.Unseal(other, sealed); !errors.Is(err, artifact.ErrAltered) {
		t.Errorf("for another pull request: %v", err)
	}
	if _, err := open(t, t.TempDir()).Unseal(binding, sealed); !errors.Is(err, artifact.ErrAltered) {
		t.Errorf("with another key: %v", err)
	}
	for i := range 100 { // the format, the key, and the beginning of the content
		sealed[i] ^= 1
		if _, err := s.Unseal(binding, sealed); !errors.Is(err, artifact.ErrAltered) {
			t.Errorf("byte %d is another: %v", i, err)
		}
		sealed[i] ^= 1
	}
	for n := range 150 {
		if _, err := s.Unseal(binding, sealed[:n]); !errors.Is(err, artifact.ErrAltered) {
			t.Errorf("cut to %d bytes: %v", n, err)
		}
	}
}

// An artifact of a version that used the store's key itself stays readable.
func TestArtifactsOfOlderVersionsAreRead(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	s := open(t, dir)
	ref := put(t, s, binding)
	text, err := os.ReadFile(filepath.Join(dir, "key"))
	if err != nil {
		t.Fatal(err)
	}
	key, err := hex.DecodeString(strings.TrimSpace(string(text)))
	if err != nil {
		t.Fatal(err)
	}
	block, err := aes.NewCipher(key)
	if err != nil {
		t.Fatal(err)
	}
	aead, err := cipher.NewGCMWithRandomNonce(block)
	if err != nil {
		t.Fatal(err)
	}
	bound, err := json.Marshal(struct {
		Format  int
		Key     string
		Binding artifact.Binding
	}{1, ref.Key, binding})
	if err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(dir, "artifacts", ref.Key), aead.Seal([]byte{1}, nil, content, bound))
	if got, err := s.Get(t.Context(), binding, ref); err != nil || !bytes.Equal(got, content) {
		t.Errorf("%d bytes, %v", len(got), err)
	}
	other := binding
	other.HeadSHA += "0"
	mustBeAltered(t, s, other, ref)
}
