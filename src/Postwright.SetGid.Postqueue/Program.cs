return Postwright.Commands.Shared.CommandHelp.Asked("postqueue", args) ? 0 : Postwright.Commands.Postqueue.Run(args);
