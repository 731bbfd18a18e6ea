package smtp

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"os"
	"path/filepath"

	"gapura/internal/notify"
)

// Directory is a notify.Sender that writes messages as .eml files, for machines without a mail server. A file's name comes
// from the Message-ID: a message that is sent twice is one file.
type Directory struct {
	path string
}

// NewDirectory returns a sender that writes into path, which it creates.
func NewDirectory(path string) (*Directory, error) {
	if err := os.MkdirAll(path, 0o700); err != nil {
		return nil, fmt.Errorf("mail directory: %w", err)
	}
	return &Directory{path: path}, nil
}

// Send writes m. A reader of the directory sees the whole file or none.
func (d *Directory) Send(ctx context.Context, m notify.Message) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	mime, err := build(m)
	if err != nil {
		return &notify.SendError{Fate: notify.Rejected, Stage: "compose", Cause: err}
	}
	if err := d.write(m.ID, mime); err != nil {
		return &notify.SendError{Fate: notify.Temporary, Stage: "write", Cause: err}
	}
	return nil
}

func (d *Directory) write(messageID string, mime interface{ WriteToFile(name string) error }) error {
	file, err := os.CreateTemp(d.path, ".new-*")
	if err != nil {
		return err
	}
	defer func() { _ = os.Remove(file.Name()) }() // gone already if all went well
	if err := file.Close(); err != nil {
		return err
	}
	if err := mime.WriteToFile(file.Name()); err != nil {
		return err
	}
	sum := sha256.Sum256([]byte(messageID))
	return os.Rename(file.Name(), filepath.Join(d.path, hex.EncodeToString(sum[:16])+".eml"))
}
