# Makes this machine ready to build and test asgate on Windows, and sets the environment for it: dot-source it.
#
#   . scripts\setup.ps1      PATH, VIRTUAL_ENV and ASGATE_TEST_PYTHON are set
#
# Python packages and cmake go into a virtual environment, $env:ASGATE_VENV (default: target\venv). The second run takes no time.

$ErrorActionPreference = 'Stop'
Set-StrictMode -Version Latest

function Assert-AsgateTool([string] $Name, [string] $Advice) {
    if (-not (Get-Command $Name -ErrorAction SilentlyContinue)) {
        throw "scripts\setup.ps1: $Name was not found: $Advice"
    }
}

function Assert-AsgateSuccess([string] $What) {
    if ($LASTEXITCODE -ne 0) { throw "scripts\setup.ps1: $What failed with status $LASTEXITCODE; its message is above" }
}

function Initialize-Asgate([string] $Root) {
    Assert-AsgateTool 'cargo' 'install Rust with rustup (https://rustup.rs), with the Visual Studio C++ build tools, then open a new shell'
    Assert-AsgateTool 'py' 'install Python 3.10 or newer from https://www.python.org, with its launcher'
    & py -3 -c 'import sys; sys.exit(sys.version_info < (3, 10))'
    if ($LASTEXITCODE -ne 0) { throw 'scripts\setup.ps1: Python 3.10 or newer is needed' }

    $venv = if ($env:ASGATE_VENV) { $env:ASGATE_VENV } else { Join-Path $Root 'target\venv' }
    $python = Join-Path $venv 'Scripts\python.exe'
    $stamp = Join-Path $venv 'asgate-stamp'
    $files = 'scripts\requirements-dev.txt', 'examples\fastapi\requirements.txt'
    $wanted = ($files | ForEach-Object { (Get-FileHash (Join-Path $Root $_)).Hash }) -join ' '

    if (-not (Test-Path $python)) {
        & py -3 -m venv --clear $venv
        Assert-AsgateSuccess 'py -3 -m venv'
    }
    if (-not (Test-Path $stamp) -or (Get-Content -Raw $stamp).Trim() -ne $wanted) {
        Write-Host "scripts\setup.ps1: installing Python packages into $venv"
        & $python -m pip install --quiet --disable-pip-version-check -r (Join-Path $Root $files[0])
        Assert-AsgateSuccess 'pip install'
        Set-Content $stamp $wanted
    }

    $scripts = Join-Path (Resolve-Path $venv) 'Scripts'
    if (($env:PATH -split ';') -notcontains $scripts) { $env:PATH = "$scripts;$env:PATH" }
    $env:VIRTUAL_ENV = (Resolve-Path $venv).Path
    $env:ASGATE_TEST_PYTHON = Join-Path $scripts 'python.exe'
}

Initialize-Asgate (Split-Path -Parent $PSScriptRoot)
