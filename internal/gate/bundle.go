package gate

import (
	"archive/tar"
	"archive/zip"
	"bytes"
	"compress/gzip"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"os"
	"slices"
	"strings"

	"github.com/tollgate/tollgate/internal/fault"
)

// maxArchive bounds what a bundle unpacks to, in bytes, with the files that are no policies.
const maxArchive = 256 << 20

// contents holds the files of a set that is in memory, by name.
type contents map[string][]byte

// Open returns the files of the policy set at a path: a directory, or a .tar.gz whose root is the
// set's, as "tar -C DIR -czf" and "opa build -b" make it. They are read into memory, so that what is
// judged later is what was opened. Files that are neither policy nor data are left out. It returns a
// *fault.Error for what is no set, for one that is too large, for a link, and for a name that leads
// out of the set.
func Open(name string) (fs.FS, error) {
	info, err := os.Stat(name)
	var files contents
	switch archive := strings.HasSuffix(name, ".tar.gz") || strings.HasSuffix(name, ".tgz"); {
	case err != nil:
	case info.IsDir():
		files, err = readDir(os.DirFS(name))
	case archive:
		files, err = readArchive(name)
	default:
		err = errors.New("it is neither a directory nor a .tar.gz")
	}
	if err != nil {
		return nil, fault.Wrap(err, "The policies "+name+" cannot be opened: "+reason(err)+".",
			"A set that is read in part would let changes pass unjudged.",
			"Give a directory or a .tar.gz that holds the folders source, plan and apply, without links.")
	}
	return files.fs()
}

// reason is the error without the path, which the sentence around it has.
func reason(err error) string {
	var p *fs.PathError
	if errors.As(err, &p) {
		return p.Err.Error()
	}
	return err.Error()
}

// OpenPinned is Open for a set that must be exactly the one with the digest pin. Without a pin it
// returns a *fault.Error that tells the digest, for the operator to look at and to write down.
//
// Such a set has no waivers: those belong to the repository whose resources they name.
func OpenPinned(name, pin string) (fs.FS, error) {
	fsys, err := Open(name)
	if err != nil {
		return nil, err
	}
	src, err := Read(name, fsys)
	if err != nil {
		return nil, err
	}
	const why = "Whoever can write there would decide what is allowed."
	below := func(f File) bool { return gateOf(f.Name) != "" || !strings.Contains(f.Name, "/") }
	switch _, err := fs.Stat(fsys, waiversFile); {
	case pin == "":
		return nil, fault.New("The digest of the policies "+name+" is not given; it is "+src.Digest+" now.", why,
			"Review the policies, and give this digest.")
	case pin != src.Digest:
		return nil, fault.New("The policies "+name+" have the digest "+src.Digest+", and not "+pin+" as they should.", why,
			"Review what has changed, and give the new digest; or bring the reviewed policies back.")
	case err == nil:
		return nil, fault.New("The policies "+name+" hold "+waiversFile+".", "Waivers belong to the repository whose resources they name, where their owners review them.",
			"Move them to the policy folder of the repository.")
	case !slices.ContainsFunc(src.Files, below):
		return nil, fault.New("The policies "+name+" hold nothing below source, plan or apply.", "They would change nothing, while their author believes otherwise.",
			"Put source, plan and apply in the root of the set; an archive of the folder around them has them one level too low.")
	}
	return fsys, nil
}

// Overlay returns the files of base, each replaced by the one of the same name in over, and what over
// has besides. It reads both into memory.
func Overlay(base, over fs.FS) (fs.FS, error) {
	files := contents{}
	for _, fsys := range []fs.FS{base, over} {
		layer, err := readDir(fsys)
		if err != nil {
			return nil, fmt.Errorf("overlay policies: %w", err)
		}
		maps.Copy(files, layer)
	}
	return files.fs()
}

// add takes a file in, within the limits of a set with its tests.
func (c contents) add(name string, r io.Reader) error {
	if _, twice := c[name]; twice {
		return fmt.Errorf("it holds %s twice", name)
	}
	if len(c) == testQuota.files {
		return fmt.Errorf("it holds more than %d files", testQuota.files)
	}
	content, err := io.ReadAll(io.LimitReader(r, testQuota.file+1))
	if err != nil {
		return fmt.Errorf("read %s: %w", name, err)
	}
	if int64(len(content)) > testQuota.file {
		return fmt.Errorf("%s is larger than %d MiB", name, testQuota.file>>20)
	}
	c[name] = content
	return nil
}

// wanted reports whether a file is part of a set or of its tests, or would be if it had another name,
// which Read tells.
func wanted(name string) bool {
	return (isPolicy(name) || isData(name) || isMisspelt(name)) && !slices.ContainsFunc(strings.Split(name, "/"), isHidden)
}

func readDir(fsys fs.FS) (contents, error) {
	files, left := contents{}, testQuota.total
	err := fs.WalkDir(fsys, ".", func(name string, entry fs.DirEntry, err error) error {
		switch {
		case err != nil:
			return err
		case entry.IsDir() && isHidden(name):
			return fs.SkipDir
		case entry.Type()&fs.ModeSymlink != 0 && !isHidden(name):
			return fmt.Errorf("%s is a link", name) // a linked folder would be left out without a word
		case !entry.Type().IsRegular() || !wanted(name):
			return nil
		}
		f, err := fsys.Open(name)
		if err != nil {
			return err
		}
		defer f.Close()
		if err := files.add(name, f); err != nil {
			return err
		}
		if left -= int64(len(files[name])); left < 0 {
			return fmt.Errorf("it is larger than %d MiB", testQuota.total>>20)
		}
		return nil
	})
	return files, err
}

func readArchive(name string) (contents, error) {
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	unzipped, err := gzip.NewReader(f)
	if err != nil {
		return nil, fmt.Errorf("unzip: %w", err)
	}
	bounded := &io.LimitedReader{R: unzipped, N: maxArchive}
	files, err := readTar(tar.NewReader(bounded))
	if bounded.N <= 0 {
		return nil, fmt.Errorf("it unpacks to more than %d MiB", maxArchive>>20)
	}
	return files, err
}

func readTar(archive *tar.Reader) (contents, error) {
	files := contents{}
	for {
		header, err := archive.Next()
		if err == io.EOF {
			return files, nil
		}
		if err != nil {
			return nil, fmt.Errorf("unpack: %w", err)
		}
		// Names begin with a slash if opa has made the archive, and with a dot if tar was given one.
		name := strings.TrimPrefix(strings.TrimPrefix(header.Name, "./"), "/")
		switch header.Typeflag {
		case tar.TypeReg:
		case tar.TypeDir, tar.TypeXGlobalHeader:
			continue
		default:
			return nil, fmt.Errorf("%s is a link, or no ordinary file", header.Name)
		}
		if !fs.ValidPath(name) || strings.Contains(name, `\`) {
			return nil, fmt.Errorf("the name %q leads out of it", header.Name)
		}
		if !wanted(name) {
			continue
		}
		if err := files.add(name, archive); err != nil {
			return nil, err
		}
	}
}

// fs makes a file system of the files. An archive is the one that the standard library keeps in
// memory.
func (c contents) fs() (fs.FS, error) {
	var b bytes.Buffer
	w := zip.NewWriter(&b)
	for _, name := range slices.Sorted(maps.Keys(c)) {
		f, err := w.CreateHeader(&zip.FileHeader{Name: name, Method: zip.Store})
		if err != nil {
			return nil, fmt.Errorf("keep %s: %w", name, err)
		}
		if _, err := f.Write(c[name]); err != nil {
			return nil, fmt.Errorf("keep %s: %w", name, err)
		}
	}
	if err := w.Close(); err != nil {
		return nil, fmt.Errorf("keep policies: %w", err)
	}
	return zip.NewReader(bytes.NewReader(b.Bytes()), int64(b.Len()))
}
