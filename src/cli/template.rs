//! The functions of `template.yaml`, generated from the route table: a function, its role and its log group for each row.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use crate::api::route::FALLBACK;
use crate::api::{Base, ROUTES, Route};
use crate::limits::{ADMIN_REQUESTS_PER_SECOND, STREAM_SECONDS, TOKEN_REQUESTS_PER_SECOND};
use crate::store::dynamo::tables::{Table, TablePermission};
use crate::worker;

/// The line before the generated block.
pub const BEGIN: &str = "  # Functions, one a row of the route table: made by `make template`, not by hand.\n";
/// The line after it.
pub const END: &str = "  # End of the functions.\n";

/// The line before the generated settings of routes.
pub const BEGIN_ROUTES: &str =
    "      # Settings of routes, where strangers need few requests: made by `make template`, not by hand.\n";
/// The line after them.
pub const END_ROUTES: &str = "      # End of the settings of routes.\n";

/// The throttles of the token endpoint and of the admin API. Each route has a bucket of its own, so that a flood there
/// takes nothing from the tenants.
pub fn route_settings() -> String {
    let mut yaml = "      RouteSettings:\n".to_owned();
    for route in ROUTES {
        let rate = match route.base {
            Base::OAuth => TOKEN_REQUESTS_PER_SECOND,
            Base::Admin => ADMIN_REQUESTS_PER_SECOND,
            _ => continue,
        };
        for (base, method) in route.base.patterns().iter().flat_map(|base| route.methods().map(move |it| (base, it))) {
            let path = route.path.trim_end_matches('/');
            let _ = writeln!(
                yaml,
                "        \"{method} {base}{path}\": {{ThrottlingRateLimit: {rate}, ThrottlingBurstLimit: {rate}}}"
            );
        }
    }
    yaml
}

/// Functions that few requests need at once, and a stranger could call: they have fewer processes than those of users and
/// groups.
const FEW_PROCESSES: &str = "      ReservedConcurrentExecutions: !If [HasReservedConcurrency, !Ref ReservedConcurrencyOfOthers, !Ref \"AWS::NoValue\"]\n";

/// The same of the page, which alone knows how it looks.
const PAGE_SETTINGS: &str = "      ReservedConcurrentExecutions: !If [HasReservedConcurrency, !Ref ReservedConcurrencyOfOthers, !Ref \"AWS::NoValue\"]
      Environment: {Variables: {PRODUCT_NAME: !Ref ProductName, PRODUCT_LOGO: !Ref ProductLogo, PRODUCT_COLOR: !Ref ProductColor, PRODUCT_GUIDE: !Ref ProductGuide, FRAME_ORIGINS: !Ref FrameOrigins}}
";

/// What a route's function has of its own.
fn settings(route: &Route) -> &'static str {
    if route.base == Base::Pages {
        return PAGE_SETTINGS;
    }
    let is_of_resources = ["/Users", "/Groups"].iter().any(|path| route.path.split("/{").next() == Some(path));
    if route.base == Base::Scim && is_of_resources { "" } else { FEW_PROCESSES }
}

/// The block between the two lines.
pub fn functions() -> String {
    let mut yaml = String::new();
    for name in names() {
        let rows: Vec<_> = ROUTES.iter().filter(|route| route.function() == name).collect();
        let events: String = rows.iter().enumerate().map(|(index, route)| events(index, route)).collect();
        let access: Vec<_> = rows.iter().flat_map(|route| route.access).copied().collect();
        // Rows of one function are of one kind.
        let settings = rows.first().map_or("", |route| settings(route));
        function(&mut yaml, name, settings, &events);
        role(&mut yaml, name, &statements(&access));
    }
    let feed = feed_mapping("Users", Table::Users) + &feed_mapping("Groups", Table::Groups);
    let events = format!("{feed}{WORKER_LOST}{WORKER_SCHEDULES}");
    function(&mut yaml, worker::HANDLER, WORKER_SETTINGS, &events);
    role(&mut yaml, worker::HANDLER, &format!("{}{WORKER_STATEMENTS}", statements(worker::ACCESS)));
    let rest = "        Rest:\n          Type: HttpApi\n          Properties: {ApiId: !Ref Api}\n";
    function(&mut yaml, FALLBACK, FEW_PROCESSES, rest);
    role(&mut yaml, FALLBACK, "");
    yaml.push_str(&error_alarms());
    yaml
}

/// The functions of the routes, in the order of the table.
fn names() -> Vec<&'static str> {
    let mut names = Vec::new();
    for name in ROUTES.iter().map(Route::function) {
        if !names.contains(&name) {
            names.push(name);
        }
    }
    names
}

/// What calls the function of a row. The page needs no HEAD: browsers send none.
fn events(index: usize, route: &Route) -> String {
    let mut events = String::new();
    let row = if index == 0 { String::new() } else { format!("Row{index}") };
    for (version, base) in ["V2", "V1"].into_iter().zip(route.base.patterns()) {
        for method in route.methods().filter(|method| route.base != Base::Pages || **method == route.method) {
            let _ = write!(
                events,
                "        {row}{}:\n          Type: HttpApi\n          Properties: {{ApiId: !Ref Api, Method: {method}, Path: \"{base}{}\"}}\n",
                if *method == route.method { version.to_owned() } else { format!("{version}Head") },
                route.path.trim_end_matches('/')
            );
        }
    }
    events
}

/// Most functions of one alarm: CloudWatch's limit for the metrics of an expression.
const FUNCTIONS_AN_ALARM: usize = 10;

/// Alarms on functions that do not answer at all: a binary that does not start, a crash, a time-out. Those report nothing
/// of themselves.
fn error_alarms() -> String {
    let names: Vec<_> = names().into_iter().chain([worker::HANDLER, FALLBACK]).collect();
    let mut yaml = String::new();
    for (index, some) in names.chunks(FUNCTIONS_AN_ALARM).enumerate() {
        let _ = write!(
            yaml,
            "  FunctionErrors{}:
    Type: AWS::CloudWatch::Alarm
    Properties:
      AlarmDescription: Functions do not start, crash or take too long
      EvaluationPeriods: 1
      Threshold: 1
      ComparisonOperator: GreaterThanOrEqualToThreshold
      TreatMissingData: notBreaching
      AlarmActions: !If [HasAlarmEmail, [!Ref AlarmTopic], []]
      Metrics:
        - {{Id: errors, Label: errors, Expression: SUM(METRICS())}}
",
            index + 1
        );
        for (metric, name) in some.iter().enumerate() {
            let id = logical_id(name);
            let _ = write!(
                yaml,
                "        - Id: m{metric}
          ReturnData: false
          MetricStat:
            Stat: Sum
            Period: 60
            Metric: {{Namespace: AWS/Lambda, MetricName: Errors, Dimensions: [{{Name: FunctionName, Value: !Ref {id}}}]}}
"
            );
        }
    }
    yaml
}

/// The worker may take as long as Lambda lets it. An event that fails each time is kept, such as one about a lost batch.
const WORKER_SETTINGS: &str = "      Timeout: 900
      EventInvokeConfig: {DestinationConfig: {OnFailure: {Type: SQS, Destination: !GetAtt FailedWork.Arn}}}
      Environment: {Variables: {EVENT_BUS: !If [HasEventBus, !Ref EventBusName, !Ref \"AWS::NoValue\"], NOTICE_TOPIC: !Ref Notices, NOTIFY_FROM: !If [HasNotifyFrom, !Ref NotifyFrom, !Ref \"AWS::NoValue\"]}}
";

/// The changes of a table that the feed is written from. None is given up before an hour is left until the stream forgets
/// it; then the whole batch is kept, and the worker writes a gap into the feeds.
fn feed_mapping(name: &str, table: Table) -> String {
    format!(
        "        {name}:
          Type: DynamoDB
          Properties:
            Stream: !ImportValue {{\"Fn::Sub\": \"${{TablePrefix}}-{}-stream\"}}
            StartingPosition: TRIM_HORIZON
            BatchSize: 1000
            MaximumBatchingWindowInSeconds: 1
            ParallelizationFactor: 10
            FunctionResponseTypes: [ReportBatchItemFailures]
            BisectBatchOnFunctionError: true
            MaximumRetryAttempts: -1
            MaximumRecordAgeInSeconds: {MAX_RECORD_SECONDS}
            DestinationConfig: {{OnFailure: {{Type: S3, Destination: {LOST_BATCHES}}}}}
",
        table.as_str()
    )
}

/// Age in seconds at which a change is given up.
const MAX_RECORD_SECONDS: i64 = STREAM_SECONDS - 60 * 60;

/// The bucket of what is given up.
const LOST_BATCHES: &str = "!Sub [\"arn:${AWS::Partition}:s3:::${Bucket}\", {Bucket: !ImportValue {\"Fn::Sub\": \"${TablePrefix}-lost-batches\"}}]";

/// What is there is handed to the worker.
const WORKER_LOST: &str = "        Lost:
          Type: EventBridgeRule
          Properties:
            Pattern:
              source: [aws.s3]
              detail-type: [Object Created]
              detail: {bucket: {name: [!ImportValue {\"Fn::Sub\": \"${TablePrefix}-lost-batches\"}]}}
";

/// Once a minute the worker looks for work that requests have left. It waits for none: work that is not ready costs nothing.
/// Once an hour and once a day it does what its input says.
const WORKER_SCHEDULES: &str = "        Daily:
          Type: ScheduleV2
          Properties:
            Name: !Sub \"${AWS::StackName}-daily\"
            ScheduleExpression: rate(1 day)
            RoleArn: !GetAtt ScheduleRole.Arn
            Input: '{\"daily\": true}'
        Hourly:
          Type: ScheduleV2
          Properties:
            Name: !Sub \"${AWS::StackName}-hourly\"
            ScheduleExpression: rate(1 hour)
            RoleArn: !GetAtt ScheduleRole.Arn
            Input: '{\"hourly\": true}'
        Sweep:
          Type: ScheduleV2
          Properties:
            Name: !Sub \"${AWS::StackName}-sweep\"
            ScheduleExpression: rate(1 minute)
            RoleArn: !GetAtt ScheduleRole.Arn
            # The next run does what one does not.
            RetryPolicy: {MaximumRetryAttempts: 0, MaximumEventAgeInSeconds: 60}
";

/// What reading the stream takes, and giving a change up.
const WORKER_STATEMENTS: &str = "              - Effect: Allow
                Action: [dynamodb:DescribeStream, dynamodb:GetRecords, dynamodb:GetShardIterator, dynamodb:ListStreams]
                Resource:
                  - !ImportValue {\"Fn::Sub\": \"${TablePrefix}-users-stream\"}
                  - !ImportValue {\"Fn::Sub\": \"${TablePrefix}-groups-stream\"}
              - Effect: Allow
                Action: [sqs:SendMessage]
                Resource: !GetAtt FailedWork.Arn
              - Effect: Allow
                Action: [sns:Publish]
                Resource: !Ref Notices
              - Effect: Allow
                Action: [s3:ListBucket]
                Resource: !Join [\"\", [!Sub \"arn:${AWS::Partition}:s3:::\", !ImportValue {\"Fn::Sub\": \"${TablePrefix}-lost-batches\"}]]
              - Effect: Allow
                Action: [s3:GetObject, s3:PutObject]
                Resource: !Join [\"\", [!Sub \"arn:${AWS::Partition}:s3:::\", !ImportValue {\"Fn::Sub\": \"${TablePrefix}-lost-batches\"}, /aws/lambda/*]]
";

/// The template with the block generated again.
///
/// # Errors
/// When the template lacks one of the lines.
pub fn renewed(template: &str) -> Result<String, String> {
    let (head, rest) = template
        .split_once(BEGIN)
        .ok_or("the template has no line that begins the functions; restore it from the repository")?;
    let (_, tail) = rest
        .split_once(END)
        .ok_or("the template has no line that ends the functions; restore it from the repository")?;
    let (api, rest) = head
        .split_once(BEGIN_ROUTES)
        .ok_or("the template has no line that begins the settings of routes; restore it from the repository")?;
    let (_, rest) = rest
        .split_once(END_ROUTES)
        .ok_or("the template has no line that ends the settings of routes; restore it from the repository")?;
    let head = format!("{api}{BEGIN_ROUTES}{}{END_ROUTES}{rest}", route_settings());
    Ok(format!("{head}{BEGIN}{}{END}{tail}", functions()))
}

fn function(yaml: &mut String, name: &str, settings: &str, events: &str) {
    let id = logical_id(name);
    let kebab = name.trim_end_matches(".*").replace('.', "-");
    let _ = write!(
        yaml,
        "  {id}:
    Type: AWS::Serverless::Function
    Metadata:
      BuildMethod: rust-cargolambda
      BuildProperties: {{Binary: bootstrap}}
    Properties:
      Handler: {name}
      Role: !GetAtt {id}Role.Arn
      AutoPublishCodeSha256: !Ref Release
      LoggingConfig: {{LogGroup: !Ref {id}Logs}}
{settings}      Events:
{events}  {id}Logs:
    Type: AWS::Logs::LogGroup
    Properties:
      LogGroupName: !Sub \"/rollcall/${{AWS::StackName}}/{kebab}\"
      RetentionInDays: !Ref LogRetentionDays
"
    );
}

/// A role of the function's own. The one that SAM would create may write every log of the account.
fn role(yaml: &mut String, name: &str, statements: &str) {
    let id = logical_id(name);
    let _ = write!(
        yaml,
        "  {id}Role:
    Type: AWS::IAM::Role
    Properties:
      AssumeRolePolicyDocument:
        Version: \"2012-10-17\"
        Statement: [{{Effect: Allow, Action: [sts:AssumeRole], Principal: {{Service: [lambda.amazonaws.com]}}}}]
      PermissionsBoundary: !If [HasBoundary, !Ref PermissionsBoundary, !Ref AWS::NoValue]
      ManagedPolicyArns: !If [IsTraced, [!Sub \"arn:${{AWS::Partition}}:iam::aws:policy/AWSXrayWriteOnlyAccess\"], !Ref AWS::NoValue]
      Policies:
        - PolicyName: function
          PolicyDocument:
            Version: \"2012-10-17\"
            Statement:
{statements}              - Effect: Allow
                Action: [logs:CreateLogStream, logs:PutLogEvents]
                Resource: !GetAtt {id}Logs.Arn
"
    );
}

/// `users.get` is `UsersGet`, and a family is called so without its star.
fn logical_id(name: &str) -> String {
    let capitalised = |word: &str| {
        let mut chars = word.chars();
        chars.next().map_or(String::new(), |first| first.to_ascii_uppercase().to_string() + chars.as_str())
    };
    name.trim_end_matches(".*").split('.').map(capitalised).collect()
}

/// One statement a table or index, with the actions that the row declares on it, and one of its own for an action that
/// is bound to some attributes or to one lane of every tenant.
fn statements(access: &[&[TablePermission]]) -> String {
    let mut resources = BTreeMap::<_, Vec<&str>>::new();
    for TablePermission { table, action, index, attributes, lane } in
        access.iter().copied().flatten().collect::<BTreeSet<_>>()
    {
        let index = index.map_or(String::new(), |index| format!("/index/{index}"));
        let table = table.as_str();
        let resource = format!(
            "!Sub \"arn:${{AWS::Partition}}:dynamodb:${{AWS::Region}}:${{AWS::AccountId}}:table/${{TablePrefix}}-{table}{index}\""
        );
        resources.entry((resource, *attributes, *lane)).or_default().push(action);
    }
    let mut yaml = String::new();
    for ((resource, attributes, lane), actions) in resources {
        let actions = actions.iter().map(|action| format!("dynamodb:{action}")).collect::<Vec<_>>().join(", ");
        let _ = writeln!(
            yaml,
            "              - Effect: Allow\n                Action: [{actions}]\n                Resource: {resource}"
        );
        yaml.push_str(&attributes.map_or(String::new(), only));
        yaml.push_str(&lane.map_or(String::new(), lane_condition));
    }
    yaml
}

/// The condition that a request names no other attributes. Whole items must not come back either: AWS compares what is
/// asked for, not what is returned.
fn only(attributes: &[&str]) -> String {
    format!(
        "                Condition:
                  ForAllValues:StringEquals: {{dynamodb:Attributes: [{}]}}
                  StringEqualsIfExists: {{dynamodb:ReturnValues: [NONE, UPDATED_OLD, UPDATED_NEW]}}
",
        attributes.join(", ")
    )
}

/// The condition that each partition key of a request ends so.
fn lane_condition(lane: &str) -> String {
    format!("                Condition: {{\"ForAllValues:StringLike\": {{dynamodb:LeadingKeys: [\"*{lane}\"]}}}}\n")
}
