using System.Net.Sockets;
using Microsoft.Win32.SafeHandles;
using Postwright.Core.Configuration;
using Postwright.Core.Logging;

namespace Postwright.Server.Master;

#pragma warning disable RS0030 // A process that no simulation composes.

/// <summary>
/// master: root, and small. Opens the listening sockets and the log, starts agent and mail, keeps them running, and passes
/// reload and stop on. Parses nothing that comes from the network, and nothing from its children but one word.
/// </summary>
public sealed class MasterProcess : IDisposable
{
    /// <summary>The descriptor of a child's channel to master.</summary>
    public const string ChannelName = "master";

    /// <summary>The descriptor of an open maillog_file.</summary>
    public const string LogName = "log";

    private const string Mail = "mail";
    private const string Agent = "agent";
    private readonly Daemon _daemon;
    private readonly ChildIdentity _mailOwner;
    private readonly Func<MailConfiguration?> _load;
    private readonly string _program = Environment.ProcessPath!;
    private readonly ListenerSet _sockets = new();
    private readonly Supervisor _supervisor;
    private SafeFileHandle? _logFile;
    private Socket? _agentSocket;

    /// <summary>A master that has opened nothing yet.</summary>
    /// <param name="daemon">Configuration and log.</param>
    /// <param name="inherited">What was passed to this process: sockets of systemd's.</param>
    /// <param name="mailOwner">The identity of mail.</param>
    /// <param name="load">Reads the configuration anew; null, with the errors logged, where it must not be used.</param>
    public MasterProcess(Daemon daemon, InheritedDescriptors inherited, ChildIdentity mailOwner, Func<MailConfiguration?> load)
    {
        _daemon = daemon;
        _mailOwner = mailOwner;
        _load = load;
        _sockets.Inherit(inherited.All.Where(d => d.Name != MasterStart.ReadyName).Select(d => d.Descriptor));
        string directory = daemon.Configuration.GetString("daemon_directory");
        _supervisor = new Supervisor(
            [
                new SupervisedProgram(Agent, Path.Combine(directory, Agent), () => Child(Agent, null, [new PassedDescriptor(AgentProcess.SocketName, (int)_agentSocket!.Handle)])),
                new SupervisedProgram(Mail, Path.Combine(directory, Mail), () => Child(Mail, _mailOwner, Listening(_sockets.Open.Keys))),
            ],
            new SupervisorOptions { ThrottleTime = daemon.Configuration.GetTime("service_throttle_time") },
            daemon.Log,
            Daemon.Clock);
    }

    /// <summary>Runs until a signal ends it, or the start fails; the exit status.</summary>
    /// <param name="signals">What ends or reloads it.</param>
    /// <param name="ready">Called once clients are served.</param>
    public int Run(DaemonSignals signals, Action ready)
    {
        if (Daemon.ListeningServices(_daemon.Configuration, _daemon.Log) is not { } services || !_sockets.Update(services, _daemon.Log, out _, out _))
        {
            return 1;
        }

        try
        {
            _agentSocket = AgentProcess.Listen(AgentProcess.SocketPath(_daemon.Configuration));
        }
        catch (Exception failure) when (failure is IOException or SocketException or UnauthorizedAccessException)
        {
            _daemon.Log.Fatal($"listen on {AgentProcess.SocketPath(_daemon.Configuration)}: {failure.Message}");
            return 1;
        }

        OpenLog();
        _ = ObeyAsync(signals);
        return _supervisor.Run(() =>
        {
            _daemon.LogVersion("daemon started");
            ready();
        });
    }

    /// <inheritdoc />
    public void Dispose()
    {
        _supervisor.Dispose();
        _sockets.Dispose();
        _agentSocket?.Dispose();
        _logFile?.Dispose();
    }

    private async Task ObeyAsync(DaemonSignals signals)
    {
        await foreach (int signal in signals.Received.ReadAllAsync())
        {
            if (DaemonSignals.IsReload(signal))
            {
                _supervisor.Post(Reload);
                continue;
            }

            _daemon.Log.Info($"terminating on signal {signal}");
            _supervisor.Stop();
            return;
        }
    }

    private void Reload()
    {
        if (_load() is not { } next)
        {
            return;
        }

        if (next.GetString("inet_interfaces") != _daemon.Configuration.GetString("inet_interfaces"))
        {
            _daemon.Log.Warning("to change inet_interfaces, stop and start Postfix");
        }

        if (Daemon.ListeningServices(next, _daemon.Log) is not { } services)
        {
            return;
        }

        _daemon.Configuration = next;
        _daemon.LogVersion("reload");
        OpenLog();
        if (!_sockets.Update(services, _daemon.Log, out IReadOnlyList<string> opened, out IReadOnlyList<string> closed))
        {
            return;
        }

        int? log = _logFile is null ? null : (int)_logFile.DangerousGetHandle();
        new ReloadMessage([], [], log).Send(_supervisor, Agent);
        new ReloadMessage(Listening(opened), closed, log).Send(_supervisor, Mail);
    }

    // The log that children get and our own are two openings of one file: each process appends for itself.
    private void OpenLog()
    {
        MailLogOptions options = Daemon.LogOptions(_daemon.Configuration);
        _logFile?.Dispose();
        _logFile = options.MaillogFile.Length == 0 ? null : MailLogDestination.OpenFile(options, out _);
        if (_logFile is not null && MailLogDestination.OpenFile(options, out _) is { } own)
        {
            _daemon.Destination.Replace(own);
        }
    }

    private List<PassedDescriptor> Listening(IEnumerable<string> keys) =>
        [.. keys.Select(key => new PassedDescriptor(key, (int)_sockets.Open[key].Handle))];

    private SpawnRequest Child(string name, ChildIdentity? identity, IEnumerable<PassedDescriptor> descriptors)
    {
        List<PassedDescriptor> all = [.. descriptors];
        if (_logFile is not null)
        {
            all.Insert(0, new PassedDescriptor(LogName, (int)_logFile.DangerousGetHandle()));
        }

        IReadOnlyList<string> arguments = ["postwright", name, "-c", _daemon.Configuration.ConfigDirectory];
        return new SpawnRequest(_program, Trampoline.Arguments(_program, arguments, identity, raiseFileLimit: name == Mail)) { Descriptors = all };
    }
}
