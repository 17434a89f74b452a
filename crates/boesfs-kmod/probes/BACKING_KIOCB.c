#include <linux/backing-file.h>
void probe(struct backing_file_ctx *ctx, struct kiocb *iocb);
void probe(struct backing_file_ctx *ctx, struct kiocb *iocb) { ctx->end_write(iocb, 0); }
