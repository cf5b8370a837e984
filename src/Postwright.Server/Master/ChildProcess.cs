using System.Runtime.InteropServices;
using System.Threading.Channels;
using Microsoft.Win32.SafeHandles;
using Postwright.Core.Configuration;
using Postwright.Core.Logging;

namespace Postwright.Server.Master;

#pragma warning disable RS0030 // A process that no simulation composes.

/// <summary>
/// What mail and agent have in common as children of master: descriptors from 3 on, a channel whose end ends them, a log file
/// that master opened where there is one, and signals that a terminal sends to everybody, which only master obeys.
/// </summary>
public sealed class ChildProcess : IDisposable
{
    private readonly MasterChannel _channel;
    private readonly Channel<ReloadMessage> _messages = Channel.CreateBounded<ReloadMessage>(16);
    private readonly PosixSignalRegistration[] _ignored;
    private readonly PosixSignalRegistration _terminate;

    private ChildProcess(Daemon daemon, MasterChannel channel, InheritedDescriptors inherited)
    {
        Daemon = daemon;
        Inherited = inherited;
        _channel = channel;
        _ignored = [.. ((PosixSignal[])[PosixSignal.SIGINT, PosixSignal.SIGHUP]).Select(s => PosixSignalRegistration.Create(s, c => c.Cancel = true))];
        _terminate = PosixSignalRegistration.Create(PosixSignal.SIGTERM, context =>
        {
            context.Cancel = true;
            _messages.Writer.TryComplete();
        });
        new Thread(Listen) { IsBackground = true, Name = "master" }.Start();
    }

    /// <summary>Configuration and log.</summary>
    public Daemon Daemon { get; }

    /// <summary>What master passed.</summary>
    public InheritedDescriptors Inherited { get; }

    /// <summary>Master's messages; complete when master is gone or wants an end.</summary>
    public ChannelReader<ReloadMessage> Messages => _messages.Reader;

    /// <summary>Takes over what master passed; null, with the reason, where this was not started by master.</summary>
    /// <param name="configuration">main.cf and master.cf.</param>
    /// <param name="service">mail or agent.</param>
    /// <param name="error">Why not.</param>
    public static ChildProcess? Attach(MailConfiguration configuration, string service, out string? error)
    {
        InheritedDescriptors inherited = InheritedDescriptors.Take();
        if (inherited.Find(MasterProcess.ChannelName) is not int channel)
        {
            error = "this is started by master";
            return null;
        }

        MailLogOptions options = Daemon.LogOptions(configuration);
        error = null;
        MailLogDestination? destination = inherited.Find(MasterProcess.LogName) is int log
            ? MailLogDestination.ToFile(new SafeFileHandle(log, ownsHandle: true), options, Daemon.Clock)
            : MailLogDestination.Open(options, Daemon.Clock, out error);
        return destination is null ? null : new ChildProcess(new Daemon(configuration, destination, service), new MasterChannel(channel), inherited);
    }

    /// <summary>Tells master that this serves.</summary>
    public void SayReady() => _channel.Send(Supervisor.Ready);

    /// <summary>Takes a new log file over, if there is one.</summary>
    public void TakeLog(ReloadMessage message)
    {
        if (message.Log is int log)
        {
            Daemon.Destination.Replace(new SafeFileHandle(log, ownsHandle: true));
        }
    }

    /// <inheritdoc />
    public void Dispose()
    {
        _channel.Dispose();
        _terminate.Dispose();
        foreach (PosixSignalRegistration registration in _ignored)
        {
            registration.Dispose();
        }

        Daemon.Dispose();
    }

    private void Listen()
    {
        while (_channel.Receive(out string text, out int[] descriptors))
        {
            if (ReloadMessage.Parse(text, descriptors) is { } message)
            {
                // Sixteen reloads ahead of a busy child: the rest waits in the socket, and then in master's send.
                while (!_messages.Writer.TryWrite(message))
                {
                    Thread.Sleep(10);
                }
            }
        }

        _messages.Writer.TryComplete();
    }
}
