package terraform_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"encoding/base64"
	"fmt"
	"io"
	"math/big"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/tollgate/tollgate/internal/terraform"
)

// TestMain lets the test binary also be a provider, a server that plans until it is killed, and what makes
// rooms.
func TestMain(m *testing.M) {
	switch {
	case os.Getenv("TF_PLUGIN_MAGIC_COOKIE") != "":
		if err := provide(); err != nil {
			fmt.Fprintln(os.Stderr, err)
			os.Exit(1)
		}
	case len(os.Args) == 3 && os.Args[1] == "confined":
		confined(os.Args[2])
	case len(os.Args) == 5 && os.Args[1] == "server":
		planFor(os.Args[2], os.Args[3], os.Args[4])
	default:
		os.Exit(m.Run())
	}
}

// planFor plans the module in root as a server would.
func planFor(binary, dir, root string) {
	tf, err := terraform.New(context.Background(), terraform.Config{Binary: binary, Dir: dir, Key: key})
	if err == nil {
		m := terraform.Module{Root: root, Dir: "stack", Key: "k", StatePath: filepath.Join(root, "state")}
		_, err = tf.Plan(context.Background(), m, terraform.PlanTo{File: filepath.Join(dir, "plan"), Log: os.Stdout})
	}
	fmt.Println("end of plan:", err)
}

// provide is a Terraform provider without resources: go-plugin's handshake, and gRPC by hand.
func provide() error {
	private, err := ecdsa.GenerateKey(elliptic.P256(), rand.Reader)
	if err != nil {
		return err
	}
	template := &x509.Certificate{
		SerialNumber: big.NewInt(1), DNSNames: []string{"localhost"}, IsCA: true, BasicConstraintsValid: true,
		NotBefore: time.Now().Add(-time.Hour), NotAfter: time.Now().Add(time.Hour),
		KeyUsage:    x509.KeyUsageDigitalSignature | x509.KeyUsageCertSign,
		ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageServerAuth},
	}
	cert, err := x509.CreateCertificate(rand.Reader, template, template, private.Public(), private)
	if err != nil {
		return err
	}
	socket := filepath.Join(os.TempDir(), fmt.Sprintf("plugin%d", os.Getpid()))
	l, err := net.Listen("unix", socket)
	if err != nil {
		return err
	}
	fmt.Printf("1|5|unix|%s|grpc|%s\n", socket, base64.RawStdEncoding.EncodeToString(cert))
	s := &http.Server{
		Handler:   http.HandlerFunc(answer),
		TLSConfig: &tls.Config{Certificates: []tls.Certificate{{Certificate: [][]byte{cert}, PrivateKey: private}}},
	}
	return s.ServeTLS(l, "", "")
}

func answer(w http.ResponseWriter, r *http.Request) {
	_, _ = io.Copy(io.Discard, r.Body)
	w.Header().Set("Content-Type", "application/grpc")
	w.Header().Set("Trailer", "Grpc-Status")
	var message []byte
	switch {
	case strings.HasSuffix(r.URL.Path, "/GetSchema"):
		message = []byte{0x0a, 2, 0x12, 0} // provider: a schema with an empty block
	case strings.HasSuffix(r.URL.Path, "/Shutdown"):
		defer os.Exit(0)
	}
	_, _ = w.Write(append([]byte{0, 0, 0, 0, byte(len(message))}, message...))
	w.Header().Set("Grpc-Status", "0")
}

// mirror is a provider mirror with example.com/acme/fake 1.0.0. It returns the provider's executable.
func mirror(t *testing.T) (dir, executable string) {
	t.Helper()
	dir = t.TempDir()
	pkg := filepath.Join(dir, "example.com/acme/fake/1.0.0", runtime.GOOS+"_"+runtime.GOARCH)
	if err := os.MkdirAll(pkg, 0o755); err != nil {
		t.Fatal(err)
	}
	executable = filepath.Join(pkg, "terraform-provider-fake_v1.0.0")
	self, err := os.ReadFile(os.Args[0])
	if err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(executable, self, 0o755); err != nil {
		t.Fatal(err)
	}
	// As if it had been there for a while: only then is its hash remembered.
	settle(t, executable)
	return dir, executable
}

// settle waits until a file's change time is old enough for its hash to be remembered.
func settle(t *testing.T, file string) {
	t.Helper()
	info, err := os.Stat(file)
	if err != nil {
		t.Fatal(err)
	}
	<-time.After(time.Until(info.ModTime().Add(1100 * time.Millisecond)))
}

const usesFake = `
terraform {
  required_providers {
    fake = { source = "example.com/acme/fake" }
  }
}
` + two

// withLock plans once without a lock file, and returns a module with the one that init made.
func withLock(t *testing.T, b *bench, files map[string]string) terraform.Module {
	t.Helper()
	m := module(t, files)
	_, _, _ = plan(t, b, m)
	return m
}

func edit(t *testing.T, file string, change func([]byte) []byte) {
	t.Helper()
	data, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	after := change(bytes.Clone(data))
	if bytes.Equal(after, data) {
		t.Fatalf("nothing to change in %s", file)
	}
	if err := os.WriteFile(file, after, 0o755); err != nil {
		t.Fatal(err)
	}
}
