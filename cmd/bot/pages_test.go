package main

import (
	"testing"

	"github.com/tollgate/tollgate/internal/web"
)

// Covers: T10
func TestWhoMaySeeThePages(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		s    settings
		want web.Audience
	}{
		"sign-in":                {settings{ClientID: "Iv1.0", PublicURL: "https://t.example"}, web.SignedIn},
		"sign-in on a laptop":    {settings{ClientID: "Iv1.0", PublicURL: "http://127.0.0.1:8080"}, web.SignedIn},
		"a laptop":               {settings{WebAccess: "auto", PublicURL: "http://127.0.0.1:8080"}, web.ThisMachine},
		"a server":               {settings{WebAccess: "auto", PublicURL: "https://t.example"}, web.Nobody},
		"every address":          {settings{WebAccess: "auto", PublicURL: "http://[::]:8080"}, web.Nobody},
		"opened":                 {settings{WebAccess: "open", PublicURL: "https://t.example"}, web.Everyone},
		"nothing is known of it": {settings{}, web.Nobody},
	} {
		if got := tt.s.audience(); got != tt.want {
			t.Errorf("%s: %v, want %v", name, got, tt.want)
		}
	}
}
