package change

import (
	"time"

	"github.com/tollgate/tollgate/internal/fault"
)

// Resolution is what a person found out about an apply whose end nobody knew.
type Resolution string

// The resolutions. Applied says that all of it is there; Reconcile that it is not, so that what is
// left is planned and approved anew; Released only that the project may be applied to again.
const (
	ResolvedApplied   Resolution = "applied"
	ResolvedReconcile Resolution = "reconcile"
	ResolvedReleased  Resolution = "released"
)

// Resolved is who resolved an apply whose end nobody knew, and how; zero if nobody did.
type Resolved struct {
	As     Resolution `json:"as,omitempty"`
	By     User       `json:"by"`
	Reason string     `json:"reason,omitempty"`
	At     time.Time  `json:"at,omitzero"` // unknown in rows of before
}

// Evidence is what a plan showed, after an apply whose end nobody knows, without changing anything. It compares
// with the state, which may not know of everything that was done.
type Evidence struct {
	Counts  Counts           `json:"counts"`
	Changes []ResourceChange `json:"changes,omitempty"`
	Fault   *fault.Error     `json:"fault,omitempty"` // why there is none
}
