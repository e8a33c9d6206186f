package github

import (
	"crypto/rsa"
	"encoding/pem"
	"fmt"
	"strconv"
	"strings"
	"time"

	jwt "github.com/golang-jwt/jwt/v4"

	"github.com/tollgate/tollgate/internal/fault"
	"github.com/tollgate/tollgate/internal/redact"
)

// signer signs the App's own tokens by GitHub's clock, as far as it is known: GitHub refuses
// tokens from the future and tokens that last more than ten minutes.
type signer struct {
	key    *rsa.PrivateKey
	issuer string
	link   *link
}

func newSigner(secret redact.Secret, appID int64, link *link) (*signer, error) {
	key, err := jwt.ParseRSAPrivateKeyFromPEM(secret.Reveal())
	if err != nil {
		return nil, fault.Wrap(fmt.Errorf("parse private key: %w", err), "The GitHub App's private key cannot be read.", keyTrouble(secret),
			"Give the .pem file that the App's settings page offers under \"Private keys\", unchanged. It begins with -----BEGIN RSA PRIVATE KEY-----.")
	}
	if key.N.BitLen() < 2048 {
		return nil, fault.New("The GitHub App's private key is too short.", fmt.Sprintf("It has %d bits; GitHub's have 2048.", key.N.BitLen()),
			"Generate a new one on the App's settings page.")
	}
	return &signer{key: key, issuer: strconv.FormatInt(appID, 10), link: link}, nil
}

// keyTrouble says what was given instead of a key, without quoting it.
func keyTrouble(secret redact.Secret) string {
	if strings.TrimSpace(string(secret.Reveal())) == "" {
		return "The file is empty."
	}
	block, _ := pem.Decode(secret.Reveal())
	switch {
	case block == nil:
		return "It is not in PEM form."
	case block.Type == "RSA PRIVATE KEY" && block.Headers["DEK-Info"] != "", block.Type == "ENCRYPTED PRIVATE KEY":
		return "It is protected by a passphrase."
	case block.Type == "RSA PRIVATE KEY", block.Type == "PRIVATE KEY":
		return "It is damaged, or not an RSA key."
	}
	return "It is something else in PEM form."
}

// Sign implements ghinstallation.Signer. It replaces the claims, which follow our clock.
func (s *signer) Sign(jwt.Claims) (string, error) {
	now := s.link.clock.Now().Add(time.Duration(s.link.skew.Load()))
	claims := &jwt.RegisteredClaims{
		IssuedAt:  jwt.NewNumericDate(now.Add(-time.Minute)),
		ExpiresAt: jwt.NewNumericDate(now.Add(5 * time.Minute)),
		Issuer:    s.issuer,
	}
	return jwt.NewWithClaims(jwt.SigningMethodRS256, claims).SignedString(s.key)
}
