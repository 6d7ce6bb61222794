"""Two task runners beside each other: one for mail, one for images, which it keeps in a bucket."""

import pulumi
import pulumi_cloudflare as cloudflare
from ephemera import TaskRunner, TaskRunnerArgs

account_id = pulumi.Config().require("account_id")

bucket = cloudflare.R2Bucket("images", account_id=account_id, name="images-dev")

mail = TaskRunner("mail", TaskRunnerArgs(account_id=account_id, public=True, max_retries=8))

images = TaskRunner(
    "images",
    TaskRunnerArgs(
        account_id=account_id,
        public=True,
        state_store="kv",
        engine="workflow",
        handlers="handlers",
        bindings=[cloudflare.WorkerVersionBindingArgs(type="r2_bucket", name="IMAGES", bucket_name=bucket.name)],
    ),
)

pulumi.export("mail_url", mail.url)
pulumi.export("images_url", images.url)
