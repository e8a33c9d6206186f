package artifact

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"io/fs"
	"strings"

	"github.com/tollgate/tollgate/internal/fault"
)

// A claim lies next to a stored plan and says that the plan was consumed, and by what. It is made once
// and never removed, so a database that was restored from a backup cannot have the plan applied
// again. Claims are encrypted like the artifacts, but hold nothing secret.
const claimSuffix = ".claim"

// ErrClaimed says that the plan has a claim already.
var ErrClaimed = errors.New("plan is claimed")

// Claim puts a claim next to a stored plan. When it returns, the claim survives a loss of power;
// ErrClaimed means that there is one already, which stays as it is.
func (s *Store) Claim(ctx context.Context, plan Ref, content []byte) error {
	if err := errors.Join(ctx.Err(), plan.check()); err != nil {
		return err
	}
	// Whole or absent, and never over another: a link fails where the name exists.
	tmp := rand.Text() + ".new"
	sealed := s.aead.Seal([]byte{format}, nil, content, boundClaim(plan.Key))
	if err := writeFile(s.dir, tmp, sealed); err != nil {
		return errors.Join(fmt.Errorf("store claim: %w", err), s.dir.Remove(tmp))
	}
	err := s.dir.Link(tmp, plan.Key+claimSuffix)
	if errors.Is(err, fs.ErrExist) {
		err = ErrClaimed
	}
	if err := errors.Join(err, s.dir.Remove(tmp), syncDir(s.dir)); err != nil {
		return fmt.Errorf("store claim: %w", err)
	}
	return nil
}

// Claimed returns the claim of a stored plan, or nil if there is none. A claim that cannot be read is an error:
// the plan was consumed, and nobody knows by what.
func (s *Store) Claimed(ctx context.Context, plan Ref) ([]byte, error) {
	if err := errors.Join(ctx.Err(), plan.check()); err != nil {
		return nil, err
	}
	return s.readClaim(plan.Key)
}

func (s *Store) readClaim(key string) ([]byte, error) {
	sealed, err := s.dir.ReadFile(key + claimSuffix)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read claim: %w", err)
	}
	if len(sealed) > 0 && sealed[0] == format {
		if content, err := s.aead.Open(nil, nil, sealed[1:], boundClaim(key)); err == nil {
			return content, nil
		}
	}
	return nil, fault.Wrap(ErrAltered, "The claim of a stored plan cannot be read: "+key+claimSuffix+".",
		"The plan was applied once, and nobody can tell by what.", "Restore the file in the artifact directory from a backup.")
}

// Claims calls f with every claim, or with why it cannot be read.
func (s *Store) Claims(ctx context.Context, f func(content []byte, err error) error) error {
	entries, err := fs.ReadDir(s.dir.FS(), ".")
	if err != nil {
		return fmt.Errorf("list claims: %w", err)
	}
	for _, e := range entries {
		key, ok := strings.CutSuffix(e.Name(), claimSuffix)
		if !ok {
			continue
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		if err := f(s.readClaim(key)); err != nil {
			return err
		}
	}
	return nil
}

// boundClaim differs from what any artifact is bound to.
func boundClaim(key string) []byte { return []byte("claim " + key) }
