// An application with the construct of infra/cdk, as docs/src/operate/terraform-cdk.md has it: node app.js PACKAGE OUT.

import { App, CfnOutput, Stack } from "aws-cdk-lib";

import { Rollcall } from "./rollcall.js";

const [folder, outdir] = process.argv.slice(2) as [string, string];
const app = new App({ outdir });
const stack = new Stack(app, "Product");
const rollcall = new Rollcall(stack, "Rollcall", {
  package: folder,
  tablePrefix: "rollcall",
  parameters: { AlarmEmail: "ops@example.com" },
});
new CfnOutput(stack, "TenantUrls", { value: rollcall.baseUrl });
app.synth();
