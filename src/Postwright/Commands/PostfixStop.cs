using System.ComponentModel;
using System.Diagnostics;
using Postwright.Commands.Shared;
using Postwright.Server.Master;

namespace Postwright.Commands;

/// <summary>postfix stop, abort, reload, status and flush: what is done to a running master, by signals as Postfix does it.</summary>
internal static class PostfixStop
{
    private const int Tries = 5;
    private static readonly TimeSpan BetweenTries = TimeSpan.FromSeconds(1);
    private static readonly TimeSpan BetweenLooks = TimeSpan.FromMilliseconds(50);

    /// <summary>Ends the mail system in order, for at most five seconds; then by force.</summary>
    public static int Stop(PostfixInstance instance)
    {
        if (!Signal(instance, "stopping the Postfix mail system", MasterSignal.Terminate, out int master))
        {
            return 1;
        }

        for (int i = 0; i < Tries; i++)
        {
            long until = Environment.TickCount64 + (long)BetweenTries.TotalMilliseconds;
            do
            {
                if (!instance.IsRunning)
                {
                    return 0;
                }

                Thread.Sleep(BetweenLooks);
            }
            while (Environment.TickCount64 < until);
            instance.Log.Info("waiting for the Postfix mail system to terminate");
        }

        instance.Log.Warning("stopping the Postfix mail system with force");
        MasterSignal.Send(master, MasterSignal.Kill, wholeGroup: true);
        return 0;
    }

    /// <summary>Ends the mail system without waiting for it.</summary>
    public static int Abort(PostfixInstance instance) =>
        Signal(instance, "aborting the Postfix mail system", MasterSignal.Terminate, out _) ? 0 : 1;

    /// <summary>Has the configuration read anew.</summary>
    public static int Reload(PostfixInstance instance) =>
        Signal(instance, "refreshing the Postfix mail system", MasterSignal.Hangup, out _) ? 0 : 1;

    /// <summary>Says whether the mail system runs; 0 if it does.</summary>
    public static int Status(PostfixInstance instance)
    {
        if (!instance.IsRunning)
        {
            instance.Log.Info("the Postfix mail system is not running");
            return 1;
        }

        instance.Log.Info($"the Postfix mail system is running: PID: {PidFile.Read(instance.PidPath)}");
        return 0;
    }

    /// <summary>Has all deferred mail tried now: postqueue's work.</summary>
    public static int Flush(PostfixInstance instance)
    {
        ProcessStartInfo start = SiblingProgram.Find(instance.Configuration, "postqueue");
        SiblingProgram.AddConfiguration(start, instance.Configuration);
        start.ArgumentList.Add("-f");
        try
        {
            using Process process = Process.Start(start)!;
            process.WaitForExit();
            return process.ExitCode;
        }
        catch (Win32Exception)
        {
            return instance.Fatal($"cannot execute {start.FileName}");
        }
    }

    private static bool Signal(PostfixInstance instance, string saying, int signal, out int master)
    {
        master = 0;
        if (!instance.IsRunning)
        {
            instance.Fatal("the Postfix mail system is not running");
            return false;
        }

        instance.Log.Info(saying);
        if (PidFile.Read(instance.PidPath) is not int process || !MasterSignal.Send(process, signal, wholeGroup: false))
        {
            instance.Fatal($"cannot signal the process in {instance.PidPath}");
            return false;
        }

        master = process;
        return true;
    }
}
