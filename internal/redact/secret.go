// Package redact keeps secrets out of print: a value that shows itself only to whoever asks for it
// by name, and a last look at what leaves for the secrets that are known.
package redact

import (
	"fmt"
	"log/slog"
)

// Mask is what a secret prints as.
const Mask = "[redacted]"

// Secret is a key, a token or a password. However it is printed, logged or marshalled, only Mask
// appears. The zero value is an empty secret.
type Secret struct{ value []byte }

// New returns a Secret with a copy of value.
func New[T ~string | ~[]byte](value T) Secret { return Secret{value: []byte(value)} }

// Reveal returns the secret itself. The caller must neither keep nor change it.
func (s Secret) Reveal() []byte { return s.value }

// Len is the number of bytes of the secret.
func (s Secret) Len() int { return len(s.value) }

// Format covers every verb: without it, %x would print the bytes.
func (s Secret) Format(f fmt.State, _ rune) { _, _ = f.Write([]byte(Mask)) }

// LogValue is what log/slog prints.
func (s Secret) LogValue() slog.Value { return slog.StringValue(Mask) }

// MarshalText covers JSON, YAML and text.
func (s Secret) MarshalText() ([]byte, error) { return []byte(Mask), nil }
