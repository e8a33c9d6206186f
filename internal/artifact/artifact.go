// Package artifact keeps plans encrypted and bound to what they were made for, so that a plan can
// neither be read on disk nor be passed off as another one.
package artifact

import (
	"context"
	"crypto/aes"
	"crypto/cipher"
	"crypto/rand"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"regexp"

	"github.com/tollgate/tollgate/internal/fault"
)

// Kind tells the artifacts of one run apart.
type Kind string

// The kinds of artifacts.
const (
	PlanFile     Kind = "plan"
	PlanJSON     Kind = "plan-json"
	ErroredState Kind = "errored-state" // a state that Terraform could not save where it belongs
	PlanLog      Kind = "plan-log"
	ApplyLog     Kind = "apply-log"
)

// Binding says what an artifact was made for. It is authenticated with the content: whoever reads
// it back has to name the same.
type Binding struct {
	RepoID  int64  `json:"repo_id"`
	Pull    int    `json:"pull"`
	HeadSHA string `json:"head_sha"`
	Project string `json:"project"`
	RunID   string `json:"run_id"`
	Kind    Kind   `json:"kind"`
}

// Ref finds an artifact again. It belongs into the database, beside the decision that relies on it.
type Ref struct {
	Key    string `json:"key"`
	SHA256 string `json:"sha256"` // of the content, "sha256:…"
}

// ErrAltered is behind the *fault.Error for an artifact that is not what was stored under this
// reference and binding, or is gone.
var ErrAltered = errors.New("artifact is altered or lost")

// The first byte of every file tells formats apart. In the first, the store's key itself encrypts the content; claims
// and the artifacts of older versions have it. In the second a key of its own does, which lies before it, encrypted
// by the store's: so the store's key sees 32 bytes of each artifact, and may be kept elsewhere.
const (
	format    = 1
	enveloped = 2
)

// keySize selects AES-256.
const keySize = 32

// Store keeps artifacts as files. It is safe for concurrent use, also by several processes.
type Store struct {
	dir  *os.Root
	aead cipher.AEAD
}

// Open returns the store in a directory. The key lies in a file elsewhere; it is generated when
// the store is empty, and never when it is not.
func Open(dir, keyFile string) (*Store, error) {
	if err := os.MkdirAll(dir, 0o700); err != nil {
		return nil, fmt.Errorf("create artifact directory: %w", err)
	}
	root, err := os.OpenRoot(dir)
	if err != nil {
		return nil, fmt.Errorf("open artifact directory: %w", err)
	}
	key, err := loadKey(root, keyFile)
	if err != nil {
		return nil, errors.Join(err, root.Close())
	}
	aead, err := newAEAD(key)
	if err != nil {
		return nil, errors.Join(fmt.Errorf("use artifact key: %w", err), root.Close())
	}
	return &Store{dir: root, aead: aead}, nil
}

func newAEAD(key []byte) (cipher.AEAD, error) {
	block, err := aes.NewCipher(key)
	if err != nil {
		return nil, err
	}
	return cipher.NewGCMWithRandomNonce(block)
}

// Close releases the directory.
func (s *Store) Close() error { return s.dir.Close() }

// Put stores content. When it returns, the artifact survives a loss of power.
func (s *Store) Put(ctx context.Context, b Binding, content []byte) (Ref, error) {
	if err := ctx.Err(); err != nil {
		return Ref{}, err
	}
	key := rand.Text()
	sum := sha256.Sum256(content)
	sealed, err := s.seal(content, bound(enveloped, b, key))
	if err != nil {
		return Ref{}, err
	}
	if err := writeDurably(s.dir, key, sealed); err != nil {
		return Ref{}, fmt.Errorf("store artifact: %w", err)
	}
	return Ref{Key: key, SHA256: "sha256:" + hex.EncodeToString(sum[:])}, nil
}

// Get returns the content that Put stored under this binding. If that is not what the disk holds
// now, the error is a *fault.Error around ErrAltered.
func (s *Store) Get(ctx context.Context, b Binding, r Ref) ([]byte, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	if err := r.check(); err != nil {
		return nil, err
	}
	sealed, err := s.dir.ReadFile(r.Key)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, altered("it does not exist")
	}
	if err != nil {
		return nil, fmt.Errorf("read artifact: %w", err)
	}
	content, err := s.open(sealed, b, r.Key)
	if err != nil {
		return nil, err
	}
	sum := sha256.Sum256(content)
	if r.SHA256 != "sha256:"+hex.EncodeToString(sum[:]) {
		return nil, altered("its digest differs")
	}
	return content, nil
}

// Delete removes an artifact. One that does not exist is no error.
func (s *Store) Delete(ctx context.Context, r Ref) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	if err := r.check(); err != nil {
		return err
	}
	if err := s.dir.Remove(r.Key); err != nil && !errors.Is(err, fs.ErrNotExist) {
		return fmt.Errorf("delete artifact: %w", err)
	}
	return nil
}

var keyPattern = regexp.MustCompile(`^[A-Z2-7]{26}$`)

func (r Ref) check() error {
	if !keyPattern.MatchString(r.Key) {
		return altered("its reference is malformed")
	}
	return nil
}

// Seal encrypts content that is kept elsewhere, such as a log beside others.
func (s *Store) Seal(b Binding, content []byte) ([]byte, error) {
	return s.seal(content, bound(enveloped, b, ""))
}

// Unseal returns the content that Seal encrypted for this binding, or an error around ErrAltered.
func (s *Store) Unseal(b Binding, sealed []byte) ([]byte, error) { return s.open(sealed, b, "") }

// seal encrypts content with a key of its own, and that with the store's.
func (s *Store) seal(content, bound []byte) ([]byte, error) {
	key := make([]byte, keySize)
	_, _ = rand.Read(key) // never fails, says its documentation
	own, err := newAEAD(key)
	if err != nil {
		return nil, fmt.Errorf("use artifact key: %w", err)
	}
	return own.Seal(s.aead.Seal([]byte{enveloped}, nil, key, bound), nil, content, bound), nil
}

func (s *Store) open(sealed []byte, b Binding, name string) ([]byte, error) {
	wrapped := 1 + keySize + s.aead.Overhead()
	var content []byte
	var err error
	switch {
	case len(sealed) > 0 && sealed[0] == format:
		content, err = s.aead.Open(nil, nil, sealed[1:], bound(format, b, name))
	case len(sealed) > wrapped && sealed[0] == enveloped:
		var key []byte
		if key, err = s.aead.Open(nil, nil, sealed[1:wrapped], bound(enveloped, b, name)); err != nil {
			break
		}
		var own cipher.AEAD
		if own, err = newAEAD(key); err != nil {
			break
		}
		content, err = own.Open(nil, nil, sealed[wrapped:], bound(enveloped, b, name))
	default:
		return nil, altered("its format is unknown")
	}
	if err != nil {
		return nil, altered("it does not authenticate")
	}
	return content, nil
}

// bound is the data that is authenticated with a content: the format, the name and the binding.
func bound(format int, b Binding, key string) []byte {
	data, err := json.Marshal(struct {
		Format  int
		Key     string
		Binding Binding
	}{format, key, b})
	if err != nil {
		panic(err) // numbers and strings always encode
	}
	return data
}

func altered(how string) error {
	return fault.Wrap(fmt.Errorf("%w: %s", ErrAltered, how),
		"The stored plan is not the one that was made for this run.",
		"It was changed, exchanged or lost on the server, so it will not be used.",
		"Comment `/plan` for a new one, and tell whoever runs Tollgate: this must not happen.")
}
