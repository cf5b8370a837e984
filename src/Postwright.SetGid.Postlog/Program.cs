return Postwright.Commands.Shared.CommandHelp.Asked("postlog", args) ? 0 : Postwright.Commands.Postlog.Run(args);
