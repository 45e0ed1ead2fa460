// Rollcall from the package of a release, as a CDK construct: the stack of the tables and the stack of the application,
// nested in yours. The roles, alarms and functions are those of the templates; nothing is described twice.

import { join } from "node:path";

import { CfnStack, RemovalPolicy } from "aws-cdk-lib";
import { Asset } from "aws-cdk-lib/aws-s3-assets";
import { Construct } from "constructs";

export interface RollcallProps {
  /** The folder of the unpacked `rollcall-aws-ARCHITECTURE.zip` of a release. */
  readonly package: string;
  /** The prefix of the tables; they are named PREFIX-keys and so on. */
  readonly tablePrefix: string;
  /** Parameters of the application, such as `AlarmEmail`. */
  readonly parameters?: Record<string, string>;
  /** Parameters of the tables, such as `LostBatchesDays`. */
  readonly dataParameters?: Record<string, string>;
}

export class Rollcall extends Construct {
  /** The stack of the tables. Deleting it, or your stack, deletes no data. */
  readonly data: CfnStack;
  /** The stack of the API and its functions. */
  readonly application: CfnStack;
  /** The Tenant URL of a tenant is this, `/`, its name, and `/scim/v2`. */
  readonly baseUrl: string;

  constructor(scope: Construct, id: string, props: RollcallProps) {
    super(scope, id);
    const asset = (name: string, file: string) => new Asset(this, name, { path: join(props.package, file) });
    const code = asset("Code", "bootstrap.zip");
    const TablePrefix = props.tablePrefix;
    this.data = new CfnStack(this, "Data", {
      templateUrl: asset("DataTemplate", "data.yaml").httpUrl,
      parameters: { ...props.dataParameters, TablePrefix },
    });
    this.data.applyRemovalPolicy(RemovalPolicy.RETAIN);
    this.application = new CfnStack(this, "Application", {
      templateUrl: asset("ApplicationTemplate", "template-s3.yaml").httpUrl,
      parameters: { ...props.parameters, TablePrefix, CodeBucket: code.s3BucketName, CodeKey: code.s3ObjectKey },
    });
    this.application.addDependency(this.data);
    this.baseUrl = this.application.getAtt("Outputs.BaseUrl").toString();
  }
}
