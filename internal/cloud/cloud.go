// Package cloud mints the credentials that one plan or one apply gets: of a role of its own, for a
// limited time, marked with what they are for. The server's own credentials never reach code of a
// pull request then, and a plan's are worth no more than its role allows.
package cloud

import (
	"context"
	"fmt"
	"regexp"
	"strconv"
	"strings"
	"time"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/config"
	"github.com/aws/aws-sdk-go-v2/service/sts"
	"github.com/aws/aws-sdk-go-v2/service/sts/types"

	"github.com/tollgate/tollgate/internal/fault"
)

// Use is what credentials are for.
type Use string

// The uses. A plan only has to read, and to lock its state.
const (
	Plan  Use = "plan"
	Apply Use = "apply"
)

// Subject is what the credentials are marked with, as session tags: CloudTrail shows them, and
// policies can ask for them (aws:PrincipalTag).
type Subject struct {
	Repository string // owner/name
	RepoID     int64
	Pull       int
	Commit     string
	Project    string
	Plan       string // id of the plan
}

// Config says which roles there are.
type Config struct {
	Roles    map[Use]string // ARNs; what has none runs with the server's own credentials
	HandOver bool           // the server's own, where there is no role: a sandbox does not reach where they come from
	Lifetime time.Duration  // of the credentials; AWS allows 15 minutes to what the role says, 12 hours at most
}

// Minter mints credentials with those that the server itself has: of its environment, a web identity,
// or its machine's role. It is safe for concurrent use.
type Minter struct {
	cfg  Config
	own  aws.CredentialsProvider
	has  bool          // the server has credentials; valid once looked is closed
	look chan struct{} // closed when it is known
	sts  *sts.Client
}

// lookPatience is how long to look for the server's own credentials: a machine outside of AWS has no
// metadata service that would say that it has none.
const lookPatience = 5 * time.Second

// arn is the form of a role's name in any partition.
var arn = regexp.MustCompile(`^arn:aws[a-z-]*:iam::[0-9]{12}:role/[A-Za-z0-9+=,.@_/-]+$`)

// New returns a Minter. It makes no request.
func New(ctx context.Context, cfg Config) (*Minter, error) {
	for use, role := range cfg.Roles {
		if !arn.MatchString(role) {
			return nil, fault.New(fmt.Sprintf("The role for each %s is not an ARN of a role: %q.", use, role), "Credentials could not be made for it.",
				"Write it as arn:aws:iam::123456789012:role/NAME.")
		}
	}
	if cfg.Lifetime < 15*time.Minute || cfg.Lifetime > 12*time.Hour {
		return nil, fault.New(fmt.Sprintf("Credentials for %v cannot be had.", cfg.Lifetime), "AWS gives them for 15 minutes to 12 hours.", "Choose a lifetime in between.")
	}
	own, err := config.LoadDefaultConfig(ctx)
	if err != nil {
		return nil, fault.Wrap(err, "The server's own AWS credentials cannot be found.", "It makes those of plans and applies with them.",
			"Set AWS_REGION and AWS_ROLE_ARN with AWS_WEB_IDENTITY_TOKEN_FILE, or give the machine a role.")
	}
	m := &Minter{cfg: cfg, own: own.Credentials, look: make(chan struct{}), sts: sts.NewFromConfig(own)}
	go func() {
		defer close(m.look)
		if cfg.HandOver && m.own != nil {
			ctx, cancel := context.WithTimeout(ctx, lookPatience)
			defer cancel()
			_, err := m.own.Retrieve(ctx)
			m.has = err == nil
		}
	}()
	return m, nil
}

// Mint returns the credentials as environment variables, or nil if the use has no role and there is
// nothing to hand over. Its errors are a *fault.Error.
func (m *Minter) Mint(ctx context.Context, use Use, s Subject) ([]string, error) {
	role := m.cfg.Roles[use]
	if role == "" {
		return m.handOver(ctx)
	}
	out, err := m.sts.AssumeRole(ctx, &sts.AssumeRoleInput{
		RoleArn: aws.String(role), RoleSessionName: aws.String(session(use, s)),
		DurationSeconds: aws.Int32(int32(m.cfg.Lifetime / time.Second)), Tags: tags(use, s),
	})
	if err == nil && out.Credentials == nil {
		err = fmt.Errorf("AWS gave none")
	}
	if err != nil {
		return nil, fault.Wrap(err, fmt.Sprintf("The credentials for this %s could not be made.", use),
			"It runs with a role of its own, "+role+", and not with the server's credentials.",
			"Check that the role trusts the server for sts:AssumeRole and sts:TagSession, and allows sessions of "+m.cfg.Lifetime.String()+".")
	}
	c := out.Credentials
	return variables(aws.ToString(c.AccessKeyId), aws.ToString(c.SecretAccessKey), aws.ToString(c.SessionToken)), nil
}

// handOver returns the server's own credentials, if it has any.
func (m *Minter) handOver(ctx context.Context) ([]string, error) {
	select {
	case <-m.look:
	case <-ctx.Done():
		return nil, ctx.Err()
	}
	if !m.has {
		return nil, nil
	}
	c, err := m.own.Retrieve(ctx) // renewed when they are about to end
	if err != nil {
		return nil, fault.Wrap(err, "The server's own AWS credentials cannot be had any more.", "This project runs with them.", "Look at where the server gets them from.")
	}
	return variables(c.AccessKeyID, c.SecretAccessKey, c.SessionToken), nil
}

func variables(id, key, token string) []string {
	return []string{"AWS_ACCESS_KEY_ID=" + id, "AWS_SECRET_ACCESS_KEY=" + key, "AWS_SESSION_TOKEN=" + token}
}

// session names the session; 64 characters at most.
func session(use Use, s Subject) string {
	name := fmt.Sprintf("tollgate-%s-%d-%d-%.12s", use, s.RepoID, s.Pull, s.Commit)
	return name[:min(len(name), 64)]
}

// unfit are the characters that AWS takes in no tag.
var unfit = regexp.MustCompile(`[^\p{L}\p{Z}\p{N}_.:/=+\-@]`)

func tags(use Use, s Subject) (out []types.Tag) {
	for _, t := range [][2]string{{"tollgate:use", string(use)}, {"tollgate:repository", s.Repository}, {"tollgate:repository-id", strconv.FormatInt(s.RepoID, 10)},
		{"tollgate:pull", strconv.Itoa(s.Pull)}, {"tollgate:commit", s.Commit}, {"tollgate:project", s.Project}, {"tollgate:plan", s.Plan}} {
		value := []rune(strings.TrimSpace(unfit.ReplaceAllString(t[1], "_")))
		out = append(out, types.Tag{Key: aws.String(t[0]), Value: aws.String(string(value[:min(len(value), 256)]))})
	}
	return out
}

// Own are the variables by which a process finds AWS credentials. Where a role's are used, these of
// the server are left out.
var Own = []string{"AWS_ACCESS_KEY_ID", "AWS_SECRET_ACCESS_KEY", "AWS_SESSION_TOKEN", "AWS_PROFILE", "AWS_DEFAULT_PROFILE", "AWS_CONFIG_FILE",
	"AWS_SHARED_CREDENTIALS_FILE", "AWS_WEB_IDENTITY_TOKEN_FILE", "AWS_ROLE_ARN", "AWS_ROLE_SESSION_NAME", "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI",
	"AWS_CONTAINER_CREDENTIALS_FULL_URI", "AWS_CONTAINER_AUTHORIZATION_TOKEN", "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE"}
