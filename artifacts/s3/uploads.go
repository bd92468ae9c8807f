package s3

import (
	"context"
	"iter"
	"path"
	"strings"

	"eyrie/artifacts/blob"
)

// Uploads yields the uploads in parts that were begun and have not come to their end. Their parts take
// room, cost money, and are no blobs: whoever was killed while uploading leaves them.
func (b *Bucket) Uploads(ctx context.Context) iter.Seq2[blob.Upload, error] {
	return func(yield func(blob.Upload, error) bool) {
		ctx, cancel := context.WithCancel(ctx)
		defer cancel() // ends the listing where yield does
		prefix := path.Join(b.config.Prefix, string(blob.Object)) + "/"
		for u := range b.core.ListIncompleteUploads(ctx, b.config.Bucket, prefix, true) {
			if u.Err != nil {
				yield(blob.Upload{}, b.told(u.Err, listing, "unfinished uploads"))
				return
			}
			key, err := blob.ParseKey(string(blob.Object) + "/" + strings.TrimPrefix(u.Key, prefix))
			if err != nil {
				continue // somebody else's
			}
			if !yield(blob.Upload{Key: key, ID: u.UploadID, Begun: u.Initiated}, nil) {
				return
			}
		}
		if err := ctx.Err(); err != nil {
			yield(blob.Upload{}, err)
		}
	}
}

// Abort ends an upload, and removes its parts.
func (b *Bucket) Abort(ctx context.Context, u blob.Upload) error {
	return b.told(b.core.AbortMultipartUpload(ctx, b.config.Bucket, b.name(u.Key), u.ID), removing, u.Key.String())
}
