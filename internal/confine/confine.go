// Package confine runs programs that nobody has to trust: those that a pull request brings along,
// because a plan runs whatever it contains.
//
// A room has user, mount, process, network, IPC and host name spaces of its own. In it there are a
// fresh root with the system's programs and the paths that the Plan of the room names, nothing of
// the server's processes or environment, and no way to the network but a proxy with a list of hosts.
// What goes beyond the limits is killed, and everything in the room ends with it.
//
// Three processes share the work. The server asks; "bot confined" supervises one room and
// is its way out, so that a Terraform that is told to stop because the server died can still release
// its lock; "bot confined inside" is the first process of the room. It is Linux's own machinery,
// used through the standard library and golang.org/x/sys, since a server should not depend on a
// helper program being installed to be safe.
package confine

import (
	"errors"
	"time"
)

// Plan says what a room is furnished with.
type Plan struct {
	ReadOnly []string `json:"read_only"` // absolute paths; those that do not exist are left out
	Writable []string `json:"writable"`  // absolute paths that must exist
	Egress   Egress   `json:"egress"`
	Limits   Limits   `json:"limits"`
	// Finish lets what runs come to its end if whoever asked for it dies; otherwise it is interrupted.
	Finish bool `json:"finish,omitempty"`
}

// Egress is the way out of a room.
type Egress struct {
	// Hosts may be connected to through the proxy: "sts.amazonaws.com", "*.amazonaws.com" for every
	// name below, or with another port than 443 "example.com:8443". A name that resolves to a
	// loopback, private, link-local or metadata address is refused all the same, unless it is listed
	// by its full name with a port.
	Hosts []string `json:"hosts,omitempty"`
	// Loopback are addresses of this machine, such as "127.0.0.1:5000", that are reachable in the room
	// at the same address: what the operator's own settings name.
	Loopback []string `json:"loopback,omitempty"`
	// Upstream is the proxy that the server itself has to use, or empty.
	Upstream string `json:"upstream,omitempty"`
}

// Limits bound what all processes of a room use together. A zero one is none.
type Limits struct {
	Memory    int64 `json:"memory,omitempty"`    // bytes of resident memory
	Disk      int64 `json:"disk,omitempty"`      // bytes in the writable directories
	Entries   int64 `json:"entries,omitempty"`   // files and directories there
	Processes int64 `json:"processes,omitempty"` // of the room's user
	OpenFiles int64 `json:"open_files,omitempty"`
}

// Command is one process to be run in a room.
type Command struct {
	Path string   `json:"path"`
	Args []string `json:"args"` // without the executable
	Env  []string `json:"env"`  // the whole environment; the room adds its proxy
	Dir  string   `json:"dir"`
}

// Result is how a command ended.
type Result struct {
	Exit    int           `json:"exit"`              // exit status; -1 when a signal ended it
	Signal  string        `json:"signal,omitempty"`  // the signal that ended it
	Over    string        `json:"over,omitempty"`    // the limit that it went over, and was killed for
	CPU     time.Duration `json:"cpu"`               // user and system, with the processes it waited for
	Refused []string      `json:"refused,omitempty"` // hosts that the proxy refused, each once
}

// ErrNotRun says that a command was certainly not started.
var ErrNotRun = errors.New("the command was not started")

// orphanGrace is how long a command may take to stop when whoever asked for it is gone.
const orphanGrace = 30 * time.Second

// order is what a room is told; exactly one field is set.
type order struct {
	Enter  *Plan    `json:"enter,omitempty"`
	Run    *Command `json:"run,omitempty"`
	Signal int      `json:"signal,omitempty"` // to the command that runs
	Close  bool     `json:"close,omitempty"`  // ends the room at once
}

// answer is what it says: to Enter and Run one each, to Signal none.
type answer struct {
	Fault  string  `json:"fault,omitempty"`
	NotRun bool    `json:"not_run,omitempty"` // with Fault: ErrNotRun
	Ready  *ready  `json:"ready,omitempty"`
	Result *Result `json:"result,omitempty"`
}

// ready comes from a room with its listeners: the proxy's first, then one for each address of
// Egress.Loopback. From a supervisor it comes without.
type ready struct {
	Proxy string `json:"proxy"` // its address in the room
}
