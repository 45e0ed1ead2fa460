"""The Terraform module and the CDK construct that wrap the package of a release, without an account.

    iac.py NODE_MODULES

The construct is compiled and synthesised; the module is formatted, parsed and, where `terraform` is installed, evaluated.
Both are compared with the templates of a package. No provider of AWS is needed or used: see `evaluate`.
"""

import contextlib
import json
import pathlib
import re
import shutil
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parent.parent.parent
sys.path.insert(0, str(ROOT / "infra"))
import release  # noqa: E402

BUILD = ROOT / "build/iac"
TSC = ["--strict", "--noUncheckedIndexedAccess", "--module", "nodenext", "--target", "es2022", "--types", "node", "--skipLibCheck"]
FAILURES = []


def check(what, holds):
    print(("ok: " if holds else "FAILED: ") + what, flush=True)
    if not holds:
        FAILURES.append(what)


def run(*words, folder=None):
    done = subprocess.run([str(word) for word in words], cwd=folder, capture_output=True, text=True)
    if done.returncode:
        raise SystemExit(f"{' '.join(map(str, words))} failed:\n{done.stdout}{done.stderr}")
    return done.stdout


def package(folder):
    """An unpacked package; what the code is does not matter here."""
    with contextlib.chdir(ROOT):
        entries = release.deployment("arm64", release.zipped([("bootstrap", b"code", 0o755)]))
    for name, content, _ in entries:
        file = folder / pathlib.Path(name).name
        file.write_bytes(content)
    return folder


def parameters(template):
    """The parameters that a template declares, and those of them that a stack must be given."""
    text = re.search(r"\nParameters:\n((?:  .*\n)+)", template.read_text())[1]
    blocks = dict(re.findall(r"^  (\w+):\n((?:    .*\n)+)", text, re.M))
    return set(blocks), {name for name, block in blocks.items() if "    Default:" not in block}


def judge(what, folder, template, given):
    declared, required = parameters(folder / template)
    check(f"{what} passes parameters that {template} has, and all that it needs", required <= set(given) <= declared)


def synthesise(folder, modules, out):
    """The templates and assets that CDK makes of the construct."""
    shutil.rmtree(BUILD, ignore_errors=True)
    BUILD.mkdir(parents=True)
    (BUILD / "node_modules").symlink_to(modules.resolve())
    (BUILD / "package.json").write_text('{"type": "module"}\n')
    for source in [ROOT / "infra/cdk/rollcall.ts", ROOT / "tests/iac/app.ts"]:
        shutil.copy(source, BUILD)
    run("node", "node_modules/typescript/bin/tsc", *TSC, "app.ts", folder=BUILD)
    run("node", "app.js", folder, out, folder=BUILD)
    return json.loads((out / "Product.template.json").read_text()), json.loads((out / "Product.assets.json").read_text())


def cdk(folder, modules):
    with tempfile.TemporaryDirectory() as out:
        template, assets = synthesise(folder, modules, pathlib.Path(out))
        stacks = {name: it for name, it in template["Resources"].items() if it["Type"] == "AWS::CloudFormation::Stack"}
        check("CDK synthesises two nested stacks", len(stacks) == 2)
        application = next(it for it in stacks.values() if "CodeBucket" in it["Properties"]["Parameters"])
        name, data = next((name, it) for name, it in stacks.items() if it is not application)
        check("the tables come first, and are retained",
              application["DependsOn"] == [name] and data["DeletionPolicy"] == "Retain")
        judge("the construct", folder, "template-s3.yaml", application["Properties"]["Parameters"])
        judge("the construct", folder, "data.yaml", data["Properties"]["Parameters"])
        sources = {pathlib.Path(out, it["source"]["path"]).read_bytes() for it in assets["files"].values()}
        files = {(folder / file).read_bytes() for file in ["bootstrap.zip", "template-s3.yaml", "data.yaml"]}
        check("its assets are the code and both templates", files <= sources)
        key = json.dumps(application["Properties"]["Parameters"]["CodeKey"])
        code = next(hash for hash, it in assets["files"].items()
                    if pathlib.Path(out, it["source"]["path"]).read_bytes() == (folder / "bootstrap.zip").read_bytes())
        check("the application's code is that asset", code in key)


def evaluate(folder):
    """The plan of the module by Terraform itself, with its own `terraform_data` in the place of each resource of AWS: the
    provider comes from a registry that a build need not reach. So every expression, variable and dependency is Terraform's
    to judge; the names of the provider's arguments are not."""
    with tempfile.TemporaryDirectory() as scratch:
        scratch = pathlib.Path(scratch)
        for file in (ROOT / "infra/terraform").glob("*.tf"):
            (scratch / file.name).write_text(stand_in(file.read_text()))
        terraform = lambda *words: run("terraform", *words, folder=scratch)
        terraform("init", "-backend=false", "-input=false", "-no-color")
        terraform("validate", "-no-color")
        words = [f"package={folder}", "bucket=uploads", 'parameters={"AlarmEmail"="ops@example.com"}']
        terraform("apply", "-auto-approve", "-input=false", "-no-color", *(f"-var={word}" for word in words))
        state = json.loads(terraform("show", "-json"))["values"]["root_module"]["resources"]
    return {it["address"].removeprefix("terraform_data."): it["values"]["input"] for it in state}


def stand_in(text):
    text = re.sub(r"  required_providers \{.*?\n  \}\n", "", text, flags=re.S)
    text = text.replace("data.aws_s3_bucket.uploads.bucket_regional_domain_name", '"uploads.s3.eu-central-1.amazonaws.com"')
    text = re.sub(r'data "aws_s3_bucket".*?\n\}\n', "", text, flags=re.S)

    def block(found):
        kind, name, body = found.groups()
        meta = "".join(re.findall(r"^  (?:for_each|depends_on) .*\n", body, re.M))
        rest = re.sub(r"^  (?:for_each|depends_on) .*\n", "", body, flags=re.M)
        outputs = '    outputs = { BaseUrl = "https://api.example" }\n' if kind == "aws_cloudformation_stack" else ""
        return f'resource "terraform_data" "{kind}_{name}" {{\n{meta}  input = {{\n{rest}{outputs}  }}\n}}\n'
    text = re.sub(r'^resource "(\w+)" "(\w+)" \{\n(.*?)^\}\n', block, text, flags=re.S | re.M)
    text = re.sub(r"\b(aws_\w+?)\.(upload|data|application)\.outputs", r"terraform_data.\1_\2.output.outputs", text)
    return re.sub(r"\b(aws_s3_object|aws_cloudformation_stack)\.(\w+)\b", r"terraform_data.\1_\2", text)


def terraform(folder):
    if not shutil.which("terraform"):
        print("skipped: the Terraform module; install terraform to check it")
        return
    run("terraform", "fmt", "-check", "-diff", ROOT / "infra/terraform")
    resources = evaluate(folder)
    data, application = (resources[f"aws_cloudformation_stack_{name}"] for name in ["data", "application"])
    judge("the module", folder, "template-s3.yaml", application["parameters"])
    judge("the module", folder, "data.yaml", data["parameters"])
    check("the module lets CloudFormation create roles and expand the template",
          set(application["capabilities"]) == {"CAPABILITY_IAM", "CAPABILITY_AUTO_EXPAND"})
    uploads = {it["key"]: it["source"] for name, it in resources.items() if name.startswith("aws_s3_object")}
    for stack, file in [(data, "data.yaml"), (application, "template-s3.yaml")]:
        key = stack["template_url"].removeprefix("https://uploads.s3.eu-central-1.amazonaws.com/")
        check(f"the stack {stack['name']} is of {file}", uploads.get(key) == f"{folder}/{file}")
    check("its code is the upload", uploads.get(application["parameters"]["CodeKey"]) == f"{folder}/bootstrap.zip")


def main():
    with tempfile.TemporaryDirectory() as scratch:
        folder = package(pathlib.Path(scratch))
        cdk(folder, pathlib.Path(sys.argv[1]))
        terraform(folder)
    return 1 if FAILURES else 0


sys.exit(main())
